// Transforms. A layer takes f mod (X^(2m) - c^2) to f mod (X^m - c) and f mod (X^m + c), so that all of a block of 2m entries have
// the twiddle c, and the values come out with the bits of their index reversed. Twiddle k is the primitive root of order 2^(s + 1)
// to the power of k, of s bits, reversed; so one table serves every layer of every size. Several layers are done in shared memory.
#pragma once
#include "field.cuh"

struct Twiddles {
    // Twiddles below 2^low_log, and those of multiples of 2^low_log.
    const Element* low;
    const Element* high;
    u32 low_log;
    u32 unused;
};

DEVICE Element twiddle_at(const Twiddles& twiddles, u64 index) {
    Element low = twiddles.low[index & (((u64)1 << twiddles.low_log) - 1)];
    u64 high = index >> twiddles.low_log;
    return high == 0 ? low : mul<Scalar>(low, twiddles.high[high]);
}

// The second half of a table: table[len + i] = root * table[i].
KERNEL(256) void double_table(Element* table, u64 len, Element root) {
    u64 index = thread_number();
    if (index < len) table[len + index] = mul<Scalar>(root, table[index]);
}

// Layers `done` to `done + layers - 1` of a transform of 2^log_size entries. A block of threads does the entries that differ in the
// layers' index bits, for 2^log_columns neighbouring columns: two entries for each thread.
KERNEL(512) void transform_layers(Element* values, u32 log_size, u32 done, u32 layers, u32 log_columns, Twiddles twiddles) {
    SHARED(Element, tile);
    u32 rest = log_size - done - layers;
    u64 number = blockIdx.x;
    u64 column = (number & (((u64)1 << (rest - log_columns)) - 1)) << log_columns;
    u64 outer = number >> (rest - log_columns);
    u64 origin = (outer << (log_size - done)) + column;
    u32 columns = 1u << log_columns, entries = columns << layers;
    for (u32 i = threadIdx.x; i < entries; i += blockDim.x)
        tile[i] = values[origin + ((u64)(i >> log_columns) << rest) + (i & (columns - 1))];
    __syncthreads();
    for (u32 layer = 0; layer < layers; layer++) {
        u32 half_log = layers - layer - 1 + log_columns;
        for (u32 pair = threadIdx.x; pair < entries / 2; pair += blockDim.x) {
            u32 block = pair >> half_log;
            u32 at = (block << (half_log + 1)) + (pair & ((1u << half_log) - 1));
            Element twiddle = twiddle_at(twiddles, (outer << layer) + block);
            Element upper = tile[at];
            Element lower = mul<Scalar>(twiddle, tile[at + (1u << half_log)]);
            tile[at] = add<Scalar>(upper, lower);
            tile[at + (1u << half_log)] = sub<Scalar>(upper, lower);
        }
        __syncthreads();
    }
    for (u32 i = threadIdx.x; i < entries; i += blockDim.x)
        values[origin + ((u64)(i >> log_columns) << rest) + (i & (columns - 1))] = tile[i];
}

DEVICE u64 reversed_bits(u64 value, u32 bits) {
    u64 reversed = 0;
    for (u32 bit = 0; bit < bits; bit++) reversed |= ((value >> bit) & 1) << (bits - 1 - bit);
    return reversed;
}

// Values in natural order; for the inverse transform, at the inverse points and times `scale`.
KERNEL(256) void reorder(Element* out, const Element* in, u32 log_size, u32 inverse, Element scale) {
    u64 size = (u64)1 << log_size, index = thread_number();
    if (index >= size) return;
    u64 at = reversed_bits(index, log_size);
    if (inverse)
        out[(size - at) & (size - 1)] = mul<Scalar>(scale, in[index]);
    else
        out[at] = in[index];
}
