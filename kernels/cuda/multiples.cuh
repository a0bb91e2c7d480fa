// Multiples of bases by powers of two, for sums whose windows share their buckets.
#pragma once
#include "point.cuh"

// out[i] = 2^times in[i]
KERNEL(128) void double_points(Point* out, const Affine* in, u64 len, u32 times) {
    u64 index = thread_number();
    if (index >= len) return;
    Point point = sum_of(identity(), in[index]);
    NO_UNROLL for (u32 step = 0; step < times; step++) point = doubled(point);
    out[index] = point;
}

// Points without denominators. Each thread does 16, which lie a grid's width apart, with a single inversion.
KERNEL(128) void flatten_points(Affine* out, const Point* in, u64 len) {
    const int MOST = 16;
    Element before[MOST];
    Element product = one<Base>();
    u64 width = thread_count();
    for (int i = 0; i < MOST; i++) {
        u64 index = thread_number() + i * width;
        if (index >= len) break;
        before[i] = product;
        Element zzz = in[index].zzz;
        if (!is_zero(zzz)) product = times(product, zzz);
    }
    product = inverse<Base>(product);
    for (int i = MOST - 1; i >= 0; i--) {
        u64 index = thread_number() + i * width;
        if (index >= len) continue;
        Point point = in[index];
        Affine flat = {zero(), zero()};
        if (!is_zero(point.zzz)) {
            Element inverted = times(product, before[i]);
            product = times(product, point.zzz);
            // zz / zzz is the root of 1 / zz.
            Element root = times(point.zz, inverted);
            flat.x = times(point.x, times(root, root));
            flat.y = times(point.y, inverted);
        }
        out[index] = flat;
    }
}
