// SPDX-License-Identifier: Apache-2.0
/// \file oneDNN's general matrix product, for bf16: primitives kept by shape. Component `onednn`.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include <dnnl.h>

#include <zeropp/core/error.hpp>
#include <zeropp/core/precision.hpp>
#include <zeropp/device/products.hpp>

static_assert(DNNL_VERSION_MAJOR == 2, "zeropp: device/onednn.hpp: another oneDNN, expected 2.x");

namespace zeropp::detail {

/// One shape of product, row-major as `Products` has it; alpha is 1.
struct MatmulKey {
    Transpose ta, tb;
    std::size_t m, n, k, lda, ldb, ldc;
    float beta;
    friend bool operator==(const MatmulKey&, const MatmulKey&) = default;
};

/// Products with fp32 sums, where oneDNN has a kernel for them that is not its slow reference. Made
/// for Bf16; float runs the same code on processors without it. The last `most` shapes are kept
/// ready; a new one costs its creation once.
template <class E>
requires std::same_as<E, Bf16> || std::same_as<E, float>
class Matmul {
public:
    Matmul() = default;

    /// The processor multiplies E, within ONEDNN_MAX_CPU_ISA, and oneDNN has a kernel for it.
    static bool is_native() {
        const auto set = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
        constexpr auto wanted = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
        if (std::same_as<E, Bf16> && (set & wanted) != wanted) return false;
        Matmul probe;
        return probe.find({Transpose::no, Transpose::no, 256, 256, 256, 256, 256, 256, 0.0f})
                   .primitive != nullptr;
    }

    /// False if there is no fast kernel for the shape: then nothing was done.
    bool run(const MatmulKey& key, const E* a, const E* b, E* c) {
        Entry& entry = find(key);
        entry.used = ++clock_;
        if (entry.primitive == nullptr) return false;
        // oneDNN takes inputs through the same mutable handles; it does not write to them.
        check(dnnl_memory_set_data_handle(entry.a.get(), const_cast<E*>(a)), "memory");
        check(dnnl_memory_set_data_handle(entry.b.get(), const_cast<E*>(b)), "memory");
        check(dnnl_memory_set_data_handle(entry.c.get(), c), "memory");
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, entry.a.get()},
                                             {DNNL_ARG_WEIGHTS, entry.b.get()},
                                             {DNNL_ARG_DST, entry.c.get()}};
        check(dnnl_primitive_execute(entry.primitive.get(), stream_.get(), 3, arguments),
              "product");
        check(dnnl_stream_wait(stream_.get()), "product");
        return true;
    }

private:
    static constexpr std::size_t most = 512;

    template <auto destroy>
    struct Destroy {
        template <class T>
        void operator()(T* handle) const noexcept {
            destroy(handle);
        }
    };
    template <class T, auto destroy>
    using Handle = std::unique_ptr<T, Destroy<destroy>>;
    using Memory = Handle<dnnl_memory, dnnl_memory_destroy>;

    struct Entry {
        MatmulKey key;
        std::uint64_t used = 0;
        Handle<dnnl_primitive, dnnl_primitive_destroy> primitive;  ///< null: no fast kernel
        Memory a, b, c;
    };

    static void check(dnnl_status_t status, const char* what) {
        require(status == dnnl_success, Errc::device, "OneDnn: a general ", what,
                " returns status ", static_cast<int>(status), ", expected success");
    }

    Entry& find(const MatmulKey& key) {
        Entry* oldest = nullptr;
        for (Entry& entry : entries_) {
            if (entry.key == key) return entry;
            if (oldest == nullptr || entry.used < oldest->used) oldest = &entry;
        }
        if (entries_.size() < most) oldest = &entries_.emplace_back();
        *oldest = make(key);
        return *oldest;
    }

    Entry make(const MatmulKey& key) {
        if (engine_ == nullptr) {
            dnnl_engine_t engine = nullptr;
            check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
            engine_.reset(engine);
            dnnl_stream_t stream = nullptr;
            check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
            stream_.reset(stream);
        }
        const dnnl_memory_desc_t a = described(key.m, key.k, key.lda, key.ta);
        const dnnl_memory_desc_t b = described(key.k, key.n, key.ldb, key.tb);
        const dnnl_memory_desc_t c = described(key.m, key.n, key.ldc, Transpose::no);
        dnnl_matmul_desc_t product;
        check(dnnl_matmul_desc_init(&product, &a, &b, nullptr, &c), "description");

        dnnl_primitive_attr_t raw_attributes = nullptr;
        check(dnnl_primitive_attr_create(&raw_attributes), "attribute");
        const Handle<dnnl_primitive_attr, dnnl_primitive_attr_destroy> attributes{raw_attributes};
        if (key.beta != 0) {
            dnnl_post_ops_t raw_operations = nullptr;
            check(dnnl_post_ops_create(&raw_operations), "attribute");
            const Handle<dnnl_post_ops, dnnl_post_ops_destroy> operations{raw_operations};
            check(dnnl_post_ops_append_sum(raw_operations, key.beta), "attribute");
            check(dnnl_primitive_attr_set_post_ops(raw_attributes, raw_operations), "attribute");
        }

        Entry entry;
        entry.key = key;
        dnnl_primitive_desc_t raw_description = nullptr;
        if (dnnl_primitive_desc_create(&raw_description, &product, raw_attributes, engine_.get(),
                                       nullptr) != dnnl_success)
            return entry;
        const Handle<dnnl_primitive_desc, dnnl_primitive_desc_destroy> description{raw_description};
        const char* name = "";
        check(dnnl_primitive_desc_query(raw_description, dnnl_query_impl_info_str, 0, &name),
              "query");
        if (std::string_view{name}.find("ref") != std::string_view::npos) return entry;
        dnnl_primitive_t primitive = nullptr;
        check(dnnl_primitive_create(&primitive, raw_description), "product");
        entry.primitive.reset(primitive);
        entry.a = memory_of(a);
        entry.b = memory_of(b);
        entry.c = memory_of(c);
        return entry;
    }

    static dnnl_memory_desc_t described(std::size_t rows, std::size_t columns, std::size_t stride,
                                        Transpose transpose) {
        const dnnl_dims_t extents = {static_cast<dnnl_dim_t>(rows),
                                     static_cast<dnnl_dim_t>(columns)};
        const auto apart = static_cast<dnnl_dim_t>(stride);
        const bool down = transpose == Transpose::yes;
        const dnnl_dims_t strides = {down ? 1 : apart, down ? apart : 1};
        constexpr auto type = std::same_as<E, Bf16> ? dnnl_bf16 : dnnl_f32;
        dnnl_memory_desc_t description;
        check(dnnl_memory_desc_init_by_strides(&description, 2, extents, type, strides),
              "description");
        return description;
    }

    Memory memory_of(const dnnl_memory_desc_t& description) const {
        dnnl_memory_t memory = nullptr;
        check(dnnl_memory_create(&memory, &description, engine_.get(), nullptr), "memory");
        return Memory{memory};
    }

    Handle<dnnl_engine, dnnl_engine_destroy> engine_;
    Handle<dnnl_stream, dnnl_stream_destroy> stream_;
    std::vector<Entry> entries_;
    std::uint64_t clock_ = 0;
};

}  // namespace zeropp::detail
