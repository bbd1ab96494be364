// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <map>

#include <zeropp/comm/environment.hpp>

#include "support/catch.hpp"

using namespace zeropp;

namespace {

Environment from(const std::map<std::string, std::string>& variables) {
    return environment_from([&](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional{found->second};
    });
}

}  // namespace

TEST_CASE("a process without a launcher is a world of one") {
    const Environment alone = from({});
    CHECK(alone.rank == 0);
    CHECK(alone.world_size == 1);
    CHECK(alone.source == "none");
}

TEST_CASE("the variables of each launcher are read, RANK before the others") {
    const Environment open_mpi = from({{"OMPI_COMM_WORLD_RANK", "3"},
                                       {"OMPI_COMM_WORLD_SIZE", "4"},
                                       {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}});
    CHECK(open_mpi.rank == 3);
    CHECK(open_mpi.world_size == 4);
    CHECK(open_mpi.local_rank == 1);
    CHECK(open_mpi.source == "Open MPI");
    CHECK(from({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "8"}}).rank == 5);
    // A batch script, and what mpirun starts from one.
    CHECK(from({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).world_size == 1);
    CHECK(from({{"SLURM_STEP_ID", "1"},
                {"SLURM_PROCID", "0"},
                {"SLURM_NTASKS", "2"},
                {"OMPI_COMM_WORLD_RANK", "3"},
                {"OMPI_COMM_WORLD_SIZE", "4"}})
              .rank == 3);
    CHECK(from({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}).source == "PMI");
    CHECK(from({{"RANK", "2"}, {"WORLD_SIZE", "3"}, {"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}).rank ==
          2);
}

TEST_CASE("Kubeflow's variables of a node are read before Slurm's, and need LOCAL_RANK if shared") {
    const Environment node = from({{"PET_NNODES", "3"},
                                   {"PET_NODE_RANK", "2"},
                                   {"PET_MASTER_ADDR", "job-node-0-0"},
                                   {"PET_MASTER_PORT", "29400"},
                                   {"SLURM_STEP_ID", "0"},
                                   {"SLURM_PROCID", "5"},
                                   {"SLURM_NTASKS", "8"}});
    CHECK(node.source == "Kubeflow");
    CHECK(node.rank == 2);
    CHECK(node.world_size == 3);
    CHECK(node.master_address == "job-node-0-0");
    CHECK(node.master_port == "29400");
    CHECK(from({{"PET_NNODES", "2"},
                {"PET_NODE_RANK", "1"},
                {"PET_NPROC_PER_NODE", "4"},
                {"LOCAL_RANK", "3"}})
              .rank == 7);
    CHECK_THROWS_WITH(
        from({{"PET_NNODES", "2"}, {"PET_NODE_RANK", "1"}, {"PET_NPROC_PER_NODE", "4"}}),
        "zeropp: environment: PET_NPROC_PER_NODE is 4 and LOCAL_RANK is not set, expected it where "
        "processes share a node");
}

TEST_CASE("what is not a rank is refused with the variable's name and value") {
    CHECK_THROWS_WITH(from({{"RANK", "two"}, {"WORLD_SIZE", "3"}}),
                      "zeropp: environment: RANK is 'two', expected a number of 0 or more");
    CHECK_THROWS_WITH(from({{"RANK", "3"}}),
                      "zeropp: environment: RANK is 3 and WORLD_SIZE is not set, expected both");
    CHECK_THROWS_WITH(from({{"RANK", "3"}, {"WORLD_SIZE", "3"}}),
                      "zeropp: environment: the rank is 3 of a world of 3 (read from RANK), "
                      "expected a smaller one");
}

TEST_CASE("the discovery line is DeepSpeed's") {
    const Environment values = from({{"RANK", "1"},
                                     {"WORLD_SIZE", "4"},
                                     {"LOCAL_RANK", "1"},
                                     {"MASTER_ADDR", "10.0.0.1"},
                                     {"MASTER_PORT", "29500"}});
    CHECK(discovery_line(values, "MPI") ==
          "Discovered MPI settings of world_rank=1, local_rank=1, world_size=4, "
          "master_addr=10.0.0.1, master_port=29500");
}

TEST_CASE("what is exported is what a child process finds") {
    export_environment({.rank = 5, .world_size = 8, .local_rank = 1});
    std::FILE* const child = popen("echo $RANK $LOCAL_RANK $WORLD_SIZE", "r");
    REQUIRE(child != nullptr);
    char line[64] = {};
    CHECK(std::fgets(line, sizeof line, child) == line);
    pclose(child);
    CHECK(std::string{line} == "5 1 8\n");
    const Environment found = environment();
    CHECK(found.rank == 5);
    CHECK(found.source == "RANK");
    for (const char* name : {"RANK", "LOCAL_RANK", "WORLD_SIZE"}) unsetenv(name);
}
