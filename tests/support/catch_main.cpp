// SPDX-License-Identifier: Apache-2.0
/// \file main() of the test programs that need no MPI.
int run_tests(int argc, char** argv);

int main(int argc, char** argv) { return run_tests(argc, argv); }
