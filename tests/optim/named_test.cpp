#include <zeropp/optim/named.hpp>

#include "support/catch.hpp"

namespace zp = zeropp;

TEST_CASE("an optimizer is found by its name in any case") {
    CHECK(zp::optimizer_named("AdamW").name == "adamw");
    CHECK(zp::optimizer_named("adamw").slots.size() == 2);
    CHECK(zp::optimizer_named("SGD").slots.empty());
    CHECK(zp::optimizer_named("momentum_sgd").slots[0].name == "momentum_buffer");
    CHECK_THROWS_WITH(zp::optimizer_named("adam w"),
                      "zeropp: optimizer 'adam w' is unknown, expected adamw, adam, sgd, "
                      "momentum_sgd, lion or adagrad");
}
