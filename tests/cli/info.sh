#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# programs: zeropp-info
# zeropp-info says of each rank, in their order, where it is; what it exports it reads back.
. "$(dirname "$0")/lib.sh"
info=$programs/zeropp-info
export ZEROPP_MAX_ISA=generic
unset RANK LOCAL_RANK WORLD_SIZE MASTER_ADDR MASTER_PORT

# expected KIND NAME WORLD VERSIONS ADDRESS: the lines of all ranks.
expected() {
    local rank
    for rank in $(seq 0 $(($3 - 1))); do
        cat <<TEXT
Discovered $1 settings of world_rank=$rank, local_rank=$rank, world_size=$3$5
zeropp Distributed Environment
Using device: cpu
WORLD_SIZE: $3
RANK: $rank
LOCAL_RANK: $rank
Host: here
Processor: one
Instruction set: generic
Communicator: $2
TEXT
    done
    echo "zeropp $4"
}
# says COMMAND...: out.txt are its lines, without what differs between machines.
says() {
    works "$@"
    sed -i -E 's/^Host: [^,]+, [0-9]+ cores, [0-9]+\.[0-9] GiB$/Host: here/; s/^Processor: .+$/Processor: one/
        s/^zeropp [0-9]+\.[0-9]+\.[0-9]+/zeropp VERSION/; s/^(zeropp VERSION), (Open MPI v|MPICH Version).*/\1, MPI/' out.txt
}
expected thread thread 3 VERSION "" >lines.txt
says "$info" --ranks 3
same "three threads" out.txt lines.txt
expected MPI mpi 1 "VERSION, MPI" "" >lines.txt
says "$info"
same "one process" out.txt lines.txt
expected MPI mpi 2 "VERSION, MPI" "" >lines.txt
says "${mpi2[@]}" "$info"
same "two processes" out.txt lines.txt
# What MPI says of a process goes before variables that it has inherited; addresses are passed on.
export RANK=7 LOCAL_RANK=3 WORLD_SIZE=9 MASTER_ADDR=node-0 MASTER_PORT=29500
expected MPI mpi 2 "VERSION, MPI" ", master_addr=node-0, master_port=29500" >lines.txt
says "${mpi2[@]}" "$info"
same "two processes with variables of another world" out.txt lines.txt

RANK=one one_cause "zeropp: environment: RANK is 'one', expected a number of 0 or more" "${mpi2[@]}" "$info"
refuses 2 "zeropp: command line: --ranks: 0 is given, expected 1 to 1024; see zeropp-info --help" "$info" --ranks 0
finish
