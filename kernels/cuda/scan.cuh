// Scans by blocks of entries. A block is folded to its own value, the blocks' own values are scanned (by the same kernels, one level
// up) to the values that enter the blocks, and from these the blocks are scanned. One thread does one block.
#pragma once
#include "field.cuh"

struct ScanRule {
    u64 len;
    u32 block;
    // Whether a value is multiplied by the entry; else it is multiplied by `ratio`, and the entry is added.
    u32 product;
    // Whether the scan goes from the last entry to the first.
    u32 backwards;
    // Whether a value is written before its entry is taken in.
    u32 exclusive;
    u64 unused;
    Element ratio;
};

DEVICE Element next_value(const ScanRule& rule, const Element& value, const Element& entry) {
    if (rule.product) return mul<Scalar>(value, entry);
    return add<Scalar>(mul<Scalar>(rule.ratio, value), entry);
}

DEVICE u64 place_in(const ScanRule& rule, u64 index) {
    return rule.backwards ? rule.len - 1 - index : index;
}

// out[block] = the block's own value
KERNEL(128) void fold_blocks(Element* out, const Element* entries, ScanRule rule) {
    u64 start = thread_number() * rule.block;
    if (start >= rule.len) return;
    u64 end = start + rule.block < rule.len ? start + rule.block : rule.len;
    Element value = rule.product ? one<Scalar>() : zero();
    for (u64 index = start; index < end; index++) value = next_value(rule, value, entries[place_in(rule, index)]);
    out[thread_number()] = value;
}

// out[i] = the scan's values, each block from the value that enters it. Out and entries may be the same.
KERNEL(128) void scan_blocks(Element* out, const Element* entries, const Element* enters, ScanRule rule) {
    u64 start = thread_number() * rule.block;
    if (start >= rule.len) return;
    u64 end = start + rule.block < rule.len ? start + rule.block : rule.len;
    Element value = enters[thread_number()];
    for (u64 index = start; index < end; index++) {
        u64 at = place_in(rule, index);
        Element following = next_value(rule, value, entries[at]);
        out[at] = rule.exclusive ? value : following;
        value = following;
    }
}

// out[t] = sum of entries[i] point^((i - t) / threads) over i = t, t + threads, ...: `step` is point^threads. With the threads' own
// powers of `point` these sum to the value at the point.
KERNEL(128) void evaluate_strands(Element* out, const Element* entries, u64 len, Element step) {
    u64 first = thread_number(), width = thread_count();
    Element value = zero();
    if (first < len) {
        for (u64 at = first + (len - 1 - first) / width * width;; at -= width) {
            value = add<Scalar>(mul<Scalar>(value, step), entries[at]);
            if (at == first) break;
        }
    }
    out[first] = value;
}
