// Kernels for tests of the arithmetic itself.
#pragma once
#include "point.cuh"

// out: a + b, a - b, a * b and a * b by carry chains, modulo the group's order or the field of coordinates.
KERNEL(128) void check_field(Element* out, const Element* a, const Element* b, u64 len, u32 base) {
    u64 index = thread_number();
    if (index >= len) return;
    Element x = a[index], y = b[index];
    out[4 * index] = base ? add<Base>(x, y) : add<Scalar>(x, y);
    out[4 * index + 1] = base ? sub<Base>(x, y) : sub<Scalar>(x, y);
    out[4 * index + 2] = base ? mul<Base>(x, y) : mul<Scalar>(x, y);
    out[4 * index + 3] = base ? multiply_by_chains<Base>(x, y) : multiply_by_chains<Scalar>(x, y);
}

// out: for affine a, b: (a + b) + a by both additions: ((0 + a) + b) + (0 + a).
KERNEL(128) void check_points(Point* out, const Affine* a, const Affine* b, u64 len) {
    u64 index = thread_number();
    if (index >= len) return;
    Point left = sum_of(identity(), a[index]);
    out[index] = sum_of(sum_of(left, b[index]), left);
}
