// SPDX-License-Identifier: Apache-2.0
#include <zeropp/comm/logged.hpp>
#include <zeropp/comm/self.hpp>
#include <zeropp/comm/thread.hpp>

#include "laws/communicator_laws.hpp"
#include "support/catch.hpp"

using namespace zeropp;

static_assert(Communicator<LoggedComm<ThreadComm>> && Communicator<LoggedComm<SelfComm>>);

namespace {

/// Two gathers, a reduction and a barrier of three ranks; the log of rank 0.
CommLog log_of_a_step(const CommsLoggerOptions& options, std::FILE* lines = nullptr) {
    CommLog result;
    run_ranks(3, [&](ThreadComm comm) {
        const auto log = std::make_shared<CommLog>(options, comm.rank() == 0 ? lines : nullptr);
        LoggedComm logged{comm, log};
        std::vector<float> in(300, 1.0f), out(100);
        logged.reduce_scatter(std::span{in}, std::span{out}).wait();
        for (int i = 0; i < 2; ++i)
            logged.all_gather(std::as_bytes(std::span{out}), std::as_writable_bytes(std::span{in}))
                .wait();
        logged.barrier();
        if (comm.rank() == 0) result = *log;
    });
    return result;
}
const CommLog::Record& only(const CommLog& log, CommVerb verb) {
    REQUIRE(log.records(verb).size() == 1);
    return log.records(verb).front();
}

}  // namespace

TEST_CASE("a communicator with a log obeys the laws of the one it logs", "[law]") {
    for (const bool on : {false, true})
        for (const int world : {1, 2, 3, 4}) {
            std::vector<std::string> findings(static_cast<std::size_t>(world));
            run_ranks(world, [&](ThreadComm comm) {
                LoggedComm logged{comm, on ? std::make_shared<CommLog>() : nullptr};
                findings[static_cast<std::size_t>(comm.rank())] = laws::check_communicator(logged);
            });
            for (const std::string& text : findings) CHECK(text == "");
        }
    CHECK(laws::check_communicator(LoggedComm{SelfComm{}, std::make_shared<CommLog>()}) == "");
}

TEST_CASE("calls, bytes and the time are counted, a verb and a size at a time") {
    const CommLog log = log_of_a_step({.enabled = true});
    const CommLog::Record& reduction = only(log, CommVerb::reduce_scatter);
    CHECK(reduction.calls == 1);
    CHECK(reduction.message_bytes == 1200);
    CHECK(reduction.sent == 800);
    CHECK(reduction.ranks == 3);
    const CommLog::Record& gather = only(log, CommVerb::all_gather);
    CHECK(gather.calls == 2);
    CHECK(gather.message_bytes == 1200);
    CHECK(gather.sent == 1600);
    CHECK(gather.seconds > 0);
    CHECK(only(log, CommVerb::barrier).calls == 1);
    CHECK(log.records(CommVerb::send).empty());
}

TEST_CASE("the table has a row a verb and a row a size, with NCCL's bandwidths") {
    CommLog log;
    log.done(log.started(CommVerb::all_gather, 4'000'000, 4, 3'000'000), 0.002);
    log.done(log.started(CommVerb::all_gather, 4'000'000, 4, 3'000'000), 0.002);
    log.done(log.started(CommVerb::all_gather, 400, 4, 300), 0.001);
    log.done(log.started(CommVerb::broadcast, 1'000'000, 4, 3'000'000), 0.008);
    const std::string table = log.table();
    CHECK(table.substr(table.find("operation  ")) ==
          "operation            message     calls           bytes            sent      time ms     "
          "algbw     busbw\n"
          "all_gather                           3         8000400         6000300        5.000     "
          "12.80      9.60\n"
          "                     4000000         2         8000000         6000000        4.000     "
          "16.00     12.00\n"
          "                         400         1             400             300        1.000     "
          " 0.00      0.00\n"
          "broadcast                            1         1000000         3000000        8.000     "
          " 1.00      1.00\n"
          "                     1000000         1         1000000         3000000        8.000     "
          " 1.00      1.00\n");
    CHECK(CommLog::bus_factor(CommVerb::reduce_scatter, 4) == 0.75);
    CHECK(CommLog::bus_factor(CommVerb::all_to_all, 2) == 0.5);
    CHECK(CommLog::bus_factor(CommVerb::send, 8) == 1);
}

TEST_CASE("prof_ops chooses by DeepSpeed's names, and names that are none are refused") {
    const CommLog log =
        log_of_a_step({.enabled = true,
                       .prof_all = false,
                       .prof_ops = {"all_gather_into_tensor", "all_reduce", "send"}});
    CHECK(only(log, CommVerb::all_gather).calls == 2);
    CHECK(log.records(CommVerb::reduce_scatter).empty());
    const std::string table = log.table();
    CHECK(table.find("\nsend                                 0 ") != std::string::npos);
    CHECK(table.find(
              "\nall_reduce: is not used, zeropp reduces by reduce_scatter and all_gather\n") !=
          std::string::npos);
    CHECK_THROWS_WITH((CommLog{{.prof_all = false, .prof_ops = {"all_gathr"}}}),
                      "zeropp: comms_logger: prof_ops has 'all_gathr', expected names of "
                      "operations: reduce_scatter, all_gather, broadcast, all_to_all, send, recv, "
                      "barrier");
}

TEST_CASE("logging can begin late and end early") {
    LoggedComm comm{SelfComm{}};
    const auto log = std::make_shared<CommLog>();
    for (const auto& now : {std::shared_ptr<CommLog>{}, log, std::shared_ptr<CommLog>{}}) {
        comm.log_to(now);
        comm.barrier();
        comm.unlogged().barrier();
    }
    CHECK(only(*log, CommVerb::barrier).calls == 1);
}

TEST_CASE("verbose is a line an operation") {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const lines = ::open_memstream(&text, &size);
    log_of_a_step({.enabled = true, .verbose = true}, lines);
    std::fclose(lines);
    const std::string all{text, size};
    std::free(text);
    CHECK(std::count(all.begin(), all.end(), '\n') == 4);
    CHECK(all.starts_with("comm op: reduce_scatter | time (ms): "));
    CHECK(all.find(" | msg size (bytes): 1200 | algbw (Gbps): ") != std::string::npos);
}
