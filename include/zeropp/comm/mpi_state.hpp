// SPDX-License-Identifier: Apache-2.0
/// \file What stands behind `MpiComm`: MPI's lifetime, its errors, and the operations in flight.
#pragma once

#if !__has_include(<mpi.h>)
#error \
    "zeropp: <mpi.h> not found; use find_package(zeropp COMPONENTS mpi) and link zeropp::mpi (Debian: libopenmpi-dev)"
#endif
#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpi.h>

#include <zeropp/core/error.hpp>

namespace zeropp::detail {

inline void check_mpi(int status, const char* call) {
    if (status == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(status, text, &length);
    fail(Errc::communication, call, ": is ", std::string(text, static_cast<std::size_t>(length)),
         ", expected MPI_SUCCESS");
}

/// MPI of this process. Initialises it if nobody did, and then finalises it.
class MpiRuntime {
public:
    static std::shared_ptr<MpiRuntime> get() {
        static std::weak_ptr<MpiRuntime> current;  // MPI itself is one per process
        std::shared_ptr<MpiRuntime> runtime = current.lock();
        if (!runtime) current = runtime = std::shared_ptr<MpiRuntime>{new MpiRuntime};
        return runtime;
    }
    /// While an exception passes MPI is left as it is: peers that wait for this rank would make
    /// finalising wait for them. The launcher ends them when this process exits.
    ~MpiRuntime() {
        int finalized = 0;
        if (owns_ && !is_unwinding() && MPI_Finalized(&finalized) == MPI_SUCCESS && finalized == 0)
            MPI_Finalize();
    }
    MpiRuntime(const MpiRuntime&) = delete;
    MpiRuntime& operator=(const MpiRuntime&) = delete;

    bool is_unwinding() const noexcept { return std::uncaught_exceptions() > exceptions_; }

private:
    MpiRuntime() {
        int already = 0, finalized = 0;
        check_mpi(MPI_Finalized(&finalized), "MPI_Finalized");
        require(finalized == 0, Errc::communication,
                "MpiComm: MPI has been finalised, expected it to run; keep one MpiComm as long as "
                "any is used");
        check_mpi(MPI_Initialized(&already), "MPI_Initialized");
        if (already != 0) return;
        int provided = 0;
        check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided),
                  "MPI_Init_thread");
        owns_ = true;
    }

    bool owns_ = false;
    int exceptions_ = std::uncaught_exceptions();
};

/// One rank's communicator and its operations in flight.
class MpiState {
public:
    static constexpr std::size_t ring = 64;
    static constexpr int block = 256;  ///< more than INT_MAX bytes are told in blocks and a tail

    using Finish = void (*)(const std::byte* received, std::size_t slice, int ranks,
                            std::span<std::byte> out);

    struct Slot {
        std::uint64_t sequence = 0;
        MPI_Request request = MPI_REQUEST_NULL;
        MPI_Datatype type = MPI_DATATYPE_NULL;  ///< made for this operation alone
        bool done = true;
        Finish finish = nullptr;  ///< of a reduction: sums what was received into `out`
        std::byte* received = nullptr;
        std::size_t slice = 0;
        std::span<std::byte> lent{};  ///< its part of a workspace
        std::span<std::byte> out{};
        std::vector<std::byte> own{};  ///< where no workspace is lent
    };

    MpiState(std::shared_ptr<MpiRuntime> runtime, MPI_Comm given) : runtime_{std::move(runtime)} {
        check_mpi(MPI_Comm_dup(given, &comm), "MPI_Comm_dup");
        check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
        check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
        check_mpi(MPI_Type_contiguous(block, MPI_BYTE, &block_type_), "MPI_Type_contiguous");
        check_mpi(MPI_Type_commit(&block_type_), "MPI_Type_commit");
    }
    ~MpiState() {
        int finalized = 0;
        if (runtime_->is_unwinding() || MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0)
            return;
        MPI_Type_free(&block_type_);
        MPI_Comm_free(&comm);
    }
    MpiState(const MpiState&) = delete;
    MpiState& operator=(const MpiState&) = delete;

    const std::shared_ptr<MpiRuntime>& runtime() const noexcept { return runtime_; }

    /// How MPI is told of so many bytes, in an operation that `slot` keeps: counts are int.
    std::pair<int, MPI_Datatype> count_of(Slot& slot, std::size_t bytes,
                                          std::size_t limit = INT_MAX) const {
        if (bytes <= limit) return {static_cast<int>(bytes), MPI_BYTE};
        const std::size_t blocks = bytes / block;
        require(blocks <= static_cast<std::size_t>(INT_MAX), Errc::communication,
                "MpiComm: a part has ", bytes, " bytes, expected less than ", block, " * 2 GiB");
        if (bytes % block == 0) return {static_cast<int>(blocks), block_type_};
        const std::array counts{static_cast<int>(blocks), static_cast<int>(bytes % block)};
        const std::array places{MPI_Aint{0}, static_cast<MPI_Aint>(blocks * block)};
        const std::array types{block_type_, MPI_BYTE};
        check_mpi(MPI_Type_create_struct(2, counts.data(), places.data(), types.data(), &slot.type),
                  "MPI_Type_create_struct");
        check_mpi(MPI_Type_commit(&slot.type), "MPI_Type_commit");
        return {1, slot.type};
    }

    /// A free slot for a new operation; if there is none, the oldest is waited for.
    Slot& take() {
        Slot* slot = nullptr;
        for (std::size_t i = 0; i < ring; ++i) {
            Slot& next = slots_[(started_ + i) % ring];
            if (next.done) {
                slot = &next;
                break;
            }
            if (slot == nullptr || next.sequence < slot->sequence) slot = &next;
        }
        if (!slot->done) complete(*slot);
        *slot = {.sequence = ++started_, .done = false};
        return *slot;
    }
    /// `bytes` for what `slot` receives; reductions that hold the same workspace are completed.
    std::byte* receive_into(Slot& slot, std::size_t bytes, std::size_t slice,
                            std::span<std::byte> out, Finish sum) {
        slot.slice = slice;
        slot.out = out;
        slot.finish = sum;
        if (bytes > workspace_.size()) {
            slot.own.resize(bytes);
            return slot.received = slot.own.data();
        }
        if (next_ + bytes > workspace_.size()) next_ = 0;
        const std::span<std::byte> mine = workspace_.subspan(next_, bytes);
        complete_within(mine);
        next_ += bytes;
        slot.lent = mine;
        return slot.received = mine.data();
    }
    void lend(std::span<std::byte> workspace) {
        lent_.push_back(workspace);
        choose_workspace();
    }
    /// The operations that hold it are completed; not while an exception passes, when peers may be
    /// gone.
    void take_back(std::span<std::byte> workspace) {
        if (!runtime_->is_unwinding()) complete_within(workspace);
        std::erase_if(lent_, [&](const auto& each) { return each.data() == workspace.data(); });
        choose_workspace();
    }

    bool ready(Slot& slot, std::uint64_t sequence) {
        if (slot.sequence != sequence || slot.done) return true;
        int flag = 0;
        check_mpi(MPI_Test(&slot.request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
        if (flag != 0) finish(slot);
        return flag != 0;
    }
    void wait(Slot& slot, std::uint64_t sequence) {
        if (slot.sequence == sequence && !slot.done) complete(slot);
    }

    MPI_Comm comm = MPI_COMM_NULL;
    int rank = 0, size = 1;
    std::uint64_t bytes_sent = 0;

private:
    void choose_workspace() {
        workspace_ = {};
        for (const std::span<std::byte> each : lent_)
            if (each.size() > workspace_.size()) workspace_ = each;
        next_ = 0;
    }
    void complete_within(std::span<std::byte> part) {
        const std::less<const std::byte*> before;
        for (Slot& slot : slots_)
            if (!slot.done && before(slot.lent.data(), part.data() + part.size()) &&
                before(part.data(), slot.lent.data() + slot.lent.size()))
                complete(slot);
    }
    void complete(Slot& slot) {
        check_mpi(MPI_Wait(&slot.request, MPI_STATUS_IGNORE), "MPI_Wait");
        finish(slot);
    }
    void finish(Slot& slot) {
        if (slot.finish != nullptr) slot.finish(slot.received, slot.slice, size, slot.out);
        slot.own = {};
        if (slot.type != MPI_DATATYPE_NULL) MPI_Type_free(&slot.type);
        slot.done = true;
    }

    std::shared_ptr<MpiRuntime> runtime_;
    MPI_Datatype block_type_ = MPI_DATATYPE_NULL;
    std::array<Slot, ring> slots_{};
    std::vector<std::span<std::byte>> lent_;
    std::span<std::byte> workspace_;  ///< the largest of those
    std::size_t next_ = 0;
    std::uint64_t started_ = 0;
};

}  // namespace zeropp::detail
