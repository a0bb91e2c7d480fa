// Signed digits of scalars, sorted by bucket (a counting sort). A scalar s is written with digits from -2^(bits-1) to 2^(bits-1) - 1
// in windows of so many bits: with the bias, 2^(bits-1) in every window, the digits of s + bias are those of s plus 2^(bits-1), so
// that no carries are handed on. Bucket = window * 2^(bits-1) + |digit| - 1; digits of zero have none. Where every base's multiples
// by the windows' weights are at hand, all windows share the buckets of one, and a digit's base is its window's multiple.
#pragma once
#include "vectors.cuh"

struct Cut {
    u64 len;
    // Bits of an integer as it is stored; zero for field elements.
    u32 stored_bits;
    u32 first_window;
    u32 windows;
    u32 window_bits;
    u32 bias[10];
    // Bases from one window's multiples to the next one's; zero where there are none.
    u64 stride;
};

DEVICE void take_limbs(u32* limbs, const void* scalars, u64 index, const Cut& cut) {
    if (cut.stored_bits == 0) {
        Element unit = zero();
        unit.limb[0] = 1;
        Element value = mul<Scalar>(static_cast<const Element*>(scalars)[index], unit);
        for (int i = 0; i < 8; i++) limbs[i] = value.limb[i];
        limbs[8] = limbs[9] = 0;
    } else {
        i64 value = integer_at(scalars, index, cut.stored_bits);
        limbs[0] = (u32)value;
        limbs[1] = (u32)(value >> 32);
        for (int i = 2; i < 10; i++) limbs[i] = value < 0 ? 0xffffffffu : 0;
    }
    u64 carry = 0;
    for (int i = 0; i < 10; i++) {
        u64 sum = (u64)limbs[i] + cut.bias[i] + carry;
        limbs[i] = (u32)sum;
        carry = sum >> 32;
    }
    limbs[10] = 0;
}

DEVICE int digit_in(const u32* limbs, u32 window, u32 bits) {
    u32 bit = window * bits;
    u64 words = limbs[bit >> 5] | (u64)limbs[(bit >> 5) + 1] << 32;
    return (int)((u32)(words >> (bit & 31)) & ((1u << bits) - 1)) - (int)(1u << (bits - 1));
}

DEVICE u32 bucket_of(int digit, u32 window, u32 bits) {
    return (window << (bits - 1)) + (u32)(digit < 0 ? -digit : digit) - 1;
}

KERNEL(256) void count_digits(u32* counts, const void* scalars, Cut cut) {
    u64 index = thread_number();
    if (index >= cut.len) return;
    u32 limbs[11];
    take_limbs(limbs, scalars, index, cut);
    for (u32 window = 0; window < cut.windows; window++) {
        int digit = digit_in(limbs, cut.first_window + window, cut.window_bits);
        if (digit != 0) atomicAdd(&counts[bucket_of(digit, cut.stride ? 0 : window, cut.window_bits)], 1u);
    }
}

struct Sorted {
    u32 bucket;
    // Number of the base, with the digit's sign in the top bit.
    u32 base;
};

// `counts` holds where each bucket's next entry goes; afterwards, where the next bucket begins.
KERNEL(256) void sort_digits(Sorted* sorted, u32* counts, const void* scalars, Cut cut) {
    u64 index = thread_number();
    if (index >= cut.len) return;
    u32 limbs[11];
    take_limbs(limbs, scalars, index, cut);
    for (u32 window = 0; window < cut.windows; window++) {
        int digit = digit_in(limbs, cut.first_window + window, cut.window_bits);
        if (digit == 0) continue;
        u32 bucket = bucket_of(digit, cut.stride ? 0 : window, cut.window_bits);
        u32 base = (u32)(index + cut.stride * (cut.first_window + window));
        Sorted entry = {bucket, base | (digit < 0 ? 0x80000000u : 0)};
        sorted[atomicAdd(&counts[bucket], 1u)] = entry;
    }
}

// sums[block] = sum of a block of counts
KERNEL(256) void fold_counts(u32* sums, const u32* counts, u64 len, u32 block) {
    u64 start = thread_number() * block;
    if (start >= len) return;
    u32 sum = 0;
    for (u64 index = start; index < start + block && index < len; index++) sum += counts[index];
    sums[thread_number()] = sum;
}

// Each count becomes the sum of those before it; blocks start from `enters`, or from zero without.
KERNEL(256) void scan_counts(u32* counts, const u32* enters, u64 len, u32 block) {
    u64 start = thread_number() * block;
    if (start >= len) return;
    u32 sum = enters ? enters[thread_number()] : 0;
    for (u64 index = start; index < start + block && index < len; index++) {
        u32 own = counts[index];
        counts[index] = sum;
        sum += own;
    }
}
