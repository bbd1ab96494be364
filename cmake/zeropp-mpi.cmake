# zeropp::mpi: MPI between processes (comm/mpi.hpp). Used as is by the source tree and by the package.
set(MPI_CXX_SKIP_MPICXX TRUE)  # the C++ bindings that MPI itself dropped
find_package(MPI QUIET COMPONENTS CXX)
set(zeropp_mpi_FOUND ${MPI_CXX_FOUND})
set(zeropp_mpi_MISSING "zeropp: component 'mpi': no MPI for C++ found, expected one; on Debian: apt-get install libopenmpi-dev openmpi-bin")
if(zeropp_mpi_FOUND AND NOT TARGET zeropp::mpi)
    add_library(zeropp::mpi INTERFACE IMPORTED)
    target_link_libraries(zeropp::mpi INTERFACE zeropp::zeropp MPI::MPI_CXX)
endif()
