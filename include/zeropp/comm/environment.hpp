// SPDX-License-Identifier: Apache-2.0
/// \file Which rank this process is, as its launcher says it in the environment.
#pragma once

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <zeropp/core/error.hpp>

namespace zeropp {

struct Environment {
    int rank = 0, world_size = 1, local_rank = 0;
    std::string master_address{};  ///< empty if the launcher does not say
    std::string master_port{};
    std::string source{};  ///< the launcher whose variables were read, or "none"
};

namespace detail {

struct LauncherNames {
    const char *source, *rank, *world_size, *local_rank;
};
/// In the order in which they are believed. What mpirun says of a process comes before what a
/// cluster's node says, which mpirun's processes inherit.
inline constexpr std::array launchers{
    LauncherNames{"RANK", "RANK", "WORLD_SIZE", "LOCAL_RANK"},
    LauncherNames{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                  "OMPI_COMM_WORLD_LOCAL_RANK"},
    LauncherNames{"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    LauncherNames{"Slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"},
};

inline int integer_variable(const char* name, const std::string& text) {
    int value = 0;
    std::size_t digits = 0;
    while (digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9')
        value = 10 * value + (text[digits++] - '0');
    require(digits == text.size() && digits > 0, Errc::config, "environment: ", name, " is '", text,
            "', expected a number of 0 or more");
    return value;
}

/// Kubeflow Trainer's PET_* variables tell a node of its place, to a launcher on it or to its only
/// process; where several processes share the node each needs LOCAL_RANK.
template <class Lookup>
bool read_kubeflow(Lookup lookup, Environment& result) {
    const std::optional<std::string> nodes = lookup("PET_NNODES"), node = lookup("PET_NODE_RANK");
    if (!nodes || !node) return false;
    const int processes =
        integer_variable("PET_NPROC_PER_NODE", lookup("PET_NPROC_PER_NODE").value_or("1"));
    const std::optional<std::string> local = lookup("LOCAL_RANK");
    require(processes == 1 || local.has_value(), Errc::config,
            "environment: PET_NPROC_PER_NODE is ", processes,
            " and LOCAL_RANK is not set, expected it where processes share a node");
    result.local_rank = local ? integer_variable("LOCAL_RANK", *local) : 0;
    result.rank = integer_variable("PET_NODE_RANK", *node) * processes + result.local_rank;
    result.world_size = integer_variable("PET_NNODES", *nodes) * processes;
    result.source = "Kubeflow";
    return true;
}

}  // namespace detail

/// `lookup(name)` gives an optional string: `std::getenv` as a value, or a map in a test.
template <class Lookup>
Environment environment_from(Lookup lookup) {
    Environment result{.source = "none"};
    for (const detail::LauncherNames& names : detail::launchers) {
        const std::optional<std::string> rank = lookup(names.rank),
                                         world = lookup(names.world_size);
        require(!rank || world || std::string_view{names.rank} != "RANK", Errc::config,
                "environment: RANK is ", rank.value_or(""),
                " and WORLD_SIZE is not set, expected both");
        if (std::string_view{names.source} == "Slurm") {
            if (detail::read_kubeflow(lookup, result)) break;
            if (!lookup("SLURM_STEP_ID")) continue;  // a batch script, which no srun started
        }
        if (!rank || !world) continue;
        result.rank = detail::integer_variable(names.rank, *rank);
        result.world_size = detail::integer_variable(names.world_size, *world);
        if (const auto local = lookup(names.local_rank))
            result.local_rank = detail::integer_variable(names.local_rank, *local);
        result.source = names.source;
        break;
    }
    result.master_address = lookup("MASTER_ADDR").value_or(lookup("PET_MASTER_ADDR").value_or(""));
    result.master_port = lookup("MASTER_PORT").value_or(lookup("PET_MASTER_PORT").value_or(""));
    require(result.rank < result.world_size, Errc::config, "environment: the rank is ", result.rank,
            " of a world of ", result.world_size, " (read from ", result.source,
            "), expected a smaller one");
    return result;
}

inline Environment environment() {
    return environment_from([](const char* name) -> std::optional<std::string> {
        const char* const value = std::getenv(name);
        return value != nullptr ? std::optional<std::string>{value} : std::nullopt;
    });
}

/// Sets RANK, LOCAL_RANK and WORLD_SIZE for this process and its children. Not while other threads
/// read the environment. A process of thread ranks exports rank 0.
inline void export_environment(const Environment& values) {
    setenv("RANK", std::to_string(values.rank).c_str(), 1);
    setenv("LOCAL_RANK", std::to_string(values.local_rank).c_str(), 1);
    setenv("WORLD_SIZE", std::to_string(values.world_size).c_str(), 1);
}

/// The line that DeepSpeed prints a rank when it finds its MPI world.
inline std::string discovery_line(const Environment& values, std::string_view launcher) {
    std::string line = "Discovered " + std::string{launcher} +
                       " settings of world_rank=" + std::to_string(values.rank) +
                       ", local_rank=" + std::to_string(values.local_rank) +
                       ", world_size=" + std::to_string(values.world_size);
    if (!values.master_address.empty()) line += ", master_addr=" + values.master_address;
    if (!values.master_port.empty()) line += ", master_port=" + values.master_port;
    return line;
}

}  // namespace zeropp
