// Element-wise work on vectors of scalars. One thread does one entry unless said otherwise; the last block's spare threads do nothing.
#pragma once
#include "field.cuh"

// An integer of 8, 16, 32 or 64 bits.
DEVICE i64 integer_at(const void* values, u64 index, u32 bits) {
    if (bits == 8) return static_cast<const signed char*>(values)[index];
    if (bits == 16) return static_cast<const short*>(values)[index];
    if (bits == 32) return static_cast<const int*>(values)[index];
    return static_cast<const i64*>(values)[index];
}

DEVICE u64 magnitude_of(i64 value) {
    return value < 0 ? 0 - (u64)value : (u64)value;
}

// An integer as a scalar.
DEVICE Element scalar_of(i64 value) {
    u64 magnitude = magnitude_of(value);
    Element words = zero(), square;
    words.limb[0] = (u32)magnitude;
    words.limb[1] = (u32)(magnitude >> 32);
    UNROLL for (int i = 0; i < 8; i++) square.limb[i] = Scalar::square(i);
    Element positive = mul<Scalar>(words, square);
    return value < 0 ? negated<Scalar>(positive) : positive;
}

KERNEL(256) void widen(Element* out, const void* values, u64 len, u32 bits) {
    u64 index = thread_number();
    if (index < len) out[index] = scalar_of(integer_at(values, index, bits));
}

// target[i] += factor * source[i]
KERNEL(256) void add_scaled(Element* target, const Element* source, u64 len, Element factor) {
    u64 index = thread_number();
    if (index < len) target[index] = add<Scalar>(target[index], mul<Scalar>(factor, source[index]));
}

struct Term {
    const Element* values;
    u64 len;
    Element factor;
};

// out[i] = sum of factor * values[i] over terms that reach there
KERNEL(256) void combine(Element* out, u64 len, const Term* terms, u32 count) {
    u64 index = thread_number();
    if (index >= len) return;
    Element sum = zero();
    for (u32 number = 0; number < count; number++) {
        if (index >= terms[number].len) continue;
        sum = add<Scalar>(sum, mul<Scalar>(terms[number].factor, terms[number].values[index]));
    }
    out[index] = sum;
}

// out[i] = sum over k of in[i + k size] shift^(i + k size), `wrap` being shift^size and `stride` shift^(number of threads). A thread
// does every entry that many threads apart. In and out may be the same if there is nothing to fold.
KERNEL(256) void fold_powers(Element* out, const Element* in, u64 len, u64 size, Element shift, Element wrap, Element stride) {
    Element factor = power<Scalar>(shift, thread_number());
    for (u64 index = thread_number(); index < size; index += thread_count()) {
        Element sum = zero();
        if (index < len) {
            // Horner's rule from the last entry that folds here.
            for (u64 at = index + (len - 1 - index) / size * size;; at -= size) {
                sum = add<Scalar>(mul<Scalar>(sum, wrap), in[at]);
                if (at == index) break;
            }
        }
        out[index] = mul<Scalar>(sum, factor);
        factor = mul<Scalar>(factor, stride);
    }
}

// Each thread inverts 16 entries with a single inversion; entries of a thread lie a grid's width apart.
KERNEL(128) void invert(Element* values, u64 len) {
    const int MOST = 16;
    Element before[MOST];
    Element product = one<Scalar>();
    u64 width = thread_count();
    for (int i = 0; i < MOST; i++) {
        u64 index = thread_number() + i * width;
        if (index >= len) break;
        before[i] = product;
        Element value = values[index];
        if (!is_zero(value)) product = mul<Scalar>(product, value);
    }
    product = inverse<Scalar>(product);
    for (int i = MOST - 1; i >= 0; i--) {
        u64 index = thread_number() + i * width;
        if (index >= len) continue;
        Element value = values[index];
        if (is_zero(value)) continue;
        values[index] = mul<Scalar>(product, before[i]);
        product = mul<Scalar>(product, value);
    }
}
