// SPDX-License-Identifier: Apache-2.0
/// \file zeropp-info: what each rank finds around it. Under mpirun, or with --ranks N as threads.
/// `zeropp-info config`: what becomes of a ds_config.json.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <zeropp/comm/agreement.hpp>
#include <zeropp/comm/environment.hpp>
#include <zeropp/comm/mpi.hpp>
#include <zeropp/comm/thread.hpp>
#include <zeropp/core/config.hpp>
#include <zeropp/device/instruction_set.hpp>

#include "../command_line.hpp"
#include "config.hpp"

namespace zp = zeropp;

namespace {

std::string host_name() {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return name;
}

std::string processor() {
    std::ifstream file{"/proc/cpuinfo"};
    for (std::string line; std::getline(file, line);)
        if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
    return "unknown";
}

std::string memory() {
    const double bytes =
        static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
    char text[32];
    std::snprintf(text, sizeof text, "%.1f GiB", bytes / (1 << 30));
    return text;
}

std::string mpi_version() {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    zp::detail::check_mpi(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
    const std::string version{text, static_cast<std::size_t>(length)};
    return version.substr(0, version.find(','));
}

std::string describe(const zp::Environment& found, const std::string& communicator) {
    return zp::discovery_line(found, communicator == "mpi" ? "MPI" : "thread") +
           "\nzeropp Distributed Environment\nUsing device: cpu\nWORLD_SIZE: " +
           std::to_string(found.world_size) + "\nRANK: " + std::to_string(found.rank) +
           "\nLOCAL_RANK: " + std::to_string(found.local_rank) + "\nHost: " + host_name() + ", " +
           std::to_string(std::thread::hardware_concurrency()) + " cores, " + memory() +
           "\nProcessor: " + processor() +
           "\nInstruction set: " + std::string{name_of(zp::instruction_set())} +
           "\nCommunicator: " + communicator + "\n";
}

/// Collective. Rank 0 prints everybody's text, in rank order.
template <zp::Communicator C>
void report(C& comm, const std::string& text) {
    for (const std::string& each : zp::gather_texts(comm, text))
        if (comm.rank() == 0) std::cout << each;
    if (comm.rank() == 0) std::cout << std::flush;
}

CLI::App& add_config(CLI::App& app, ConfigOptions& options) {
    CLI::App& command = *app.add_subcommand(
        "config", "what becomes of a ds_config.json: each key's fate, and the resolved values");
    auto* file = command.add_option("FILE", options.file, "a ds_config.json")->check(a_path());
    command.add_option("--world", options.world, "ranks [1]")
        ->type_name("N")
        ->check(within(1, 1 << 20));
    command.add_flag("--lenient", options.lenient,
                     "warn of what the file asks for in vain, instead of refusing it");
    command.add_flag("--json", options.json, "one object on standard output");
    command.add_flag("--table", options.table, "all keys that there are, as a Markdown table")
        ->excludes(file);
    command.callback([&options] {
        if (options.file.empty() && !options.table) throw CLI::RequiredError("FILE");
    });
    return command;
}

}  // namespace

int main(int argc, char** argv) try {
    CLI::App app{
        "What each rank finds around it. Run it under mpirun, or with --ranks N. "
        "Or what becomes of a ds_config.json.",
        "zeropp-info"};
    int ranks = 0;
    auto* as_threads =
        app.add_option("--ranks", ranks, "this many ranks as threads, instead of MPI")
            ->check(within(1, 1024));
    ConfigOptions config;
    add_config(app, config).excludes(as_threads);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return refused(app, error);
    }
    if (app.got_subcommand("config")) return run_config(config);
    const std::string version = "zeropp " + std::to_string(ZEROPP_VERSION_MAJOR) + "." +
                                std::to_string(ZEROPP_VERSION_MINOR) + "." +
                                std::to_string(ZEROPP_VERSION_PATCH);
    if (ranks > 0) {
        zp::run_ranks(ranks, [&](zp::ThreadComm comm) {
            report(comm, describe({.rank = comm.rank(),
                                   .world_size = comm.size(),
                                   .local_rank = comm.rank(),
                                   .source = "threads"},
                                  "thread"));
            if (comm.rank() == 0) std::cout << version << '\n';
        });
        return 0;
    }
    zp::run_mpi_ranks([&](zp::MpiComm comm) {
        zp::Environment found = zp::environment();
        found.rank = comm.rank();
        found.world_size = comm.size();
        found.local_rank = comm.local_rank();
        zp::export_environment(found);
        report(comm, describe(zp::environment(), "mpi"));  // what a child would read
        if (comm.rank() == 0) std::cout << version << ", " << mpi_version() << '\n';
    });
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
