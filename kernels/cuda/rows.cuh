// Weighted sums of the rows of an integer matrix.
#pragma once
#include "vectors.cuh"

// out[s * width + k] = sum over the rows i of strip s of weights[i] * matrix[i * width + k]. Weights carry a second factor 2^256, so
// that their product with a plain integer is in Montgomery form.
KERNEL(256) void combine_rows(Element* out, const void* matrix, u32 bits, u64 rows, u64 width, const Element* weights, u64 strip) {
    u64 number = thread_number();
    u64 column = number % width, start = number / width * strip;
    if (start >= rows) return;
    u64 end = start + strip < rows ? start + strip : rows;
    Element sum = zero();
    for (u64 row = start; row < end; row++) {
        i64 value = integer_at(matrix, row * width + column, bits);
        if (value == 0) continue;
        u64 magnitude = magnitude_of(value);
        Element words = zero();
        words.limb[0] = (u32)magnitude;
        words.limb[1] = (u32)(magnitude >> 32);
        Element product = mul<Scalar>(weights[row], words);
        sum = value < 0 ? sub<Scalar>(sum, product) : add<Scalar>(sum, product);
    }
    out[number] = sum;
}

// target[k] += sum of column k of `strips` rows
KERNEL(256) void sum_strips(Element* target, const Element* parts, u64 width, u64 strips) {
    u64 column = thread_number();
    if (column >= width) return;
    Element sum = target[column];
    for (u64 strip = 0; strip < strips; strip++) sum = add<Scalar>(sum, parts[strip * width + column]);
    target[column] = sum;
}
