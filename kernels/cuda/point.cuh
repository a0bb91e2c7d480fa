// Points of G1 as (x, y, zz, zzz) with x / zz and y / zzz the affine coordinates and zz^3 = zzz^2; zz = 0 is the identity. An
// affine identity is (0, 0), which is no point of the curve.
#pragma once
#include "field.cuh"

struct Affine {
    Element x, y;
};

struct Point {
    Element x, y, zz, zzz;
};

DEVICE Element times(const Element& a, const Element& b) {
    return mul<Base>(a, b);
}
DEVICE Element plus(const Element& a, const Element& b) {
    return add<Base>(a, b);
}
DEVICE Element minus(const Element& a, const Element& b) {
    return sub<Base>(a, b);
}

DEVICE Point identity() {
    Point point = {zero(), zero(), zero(), zero()};
    return point;
}

DEVICE bool is_identity(const Point& a) {
    return is_zero(a.zz);
}

// 2 a; there is no point of order two, so only the identity is its own double.
DEVICE Point doubled(const Point& a) {
    Element u = plus(a.y, a.y);
    Element v = times(u, u);
    Element w = times(u, v);
    Element s = times(a.x, v);
    Element square = times(a.x, a.x);
    Element m = plus(plus(square, square), square);
    Point sum;
    sum.x = minus(times(m, m), plus(s, s));
    sum.y = minus(times(m, minus(s, sum.x)), times(w, a.y));
    sum.zz = times(v, a.zz);
    sum.zzz = times(w, a.zzz);
    return sum;
}

// a + b
DEVICE Point sum_of(const Point& a, const Point& b) {
    if (is_identity(a)) return b;
    if (is_identity(b)) return a;
    Element u = times(a.x, b.zz);
    Element s = times(a.y, b.zzz);
    Element p = minus(times(b.x, a.zz), u);
    Element r = minus(times(b.y, a.zzz), s);
    if (is_zero(p)) return is_zero(r) ? doubled(a) : identity();
    Element pp = times(p, p);
    Element ppp = times(p, pp);
    Element q = times(u, pp);
    Point sum;
    sum.x = minus(minus(times(r, r), ppp), plus(q, q));
    sum.y = minus(times(r, minus(q, sum.x)), times(s, ppp));
    sum.zz = times(times(a.zz, b.zz), pp);
    sum.zzz = times(times(a.zzz, b.zzz), ppp);
    return sum;
}

// a + b for an affine b
DEVICE Point sum_of(const Point& a, const Affine& b) {
    if (is_zero(b.x) && is_zero(b.y)) return a;
    if (is_identity(a)) {
        Point point = {b.x, b.y, one<Base>(), one<Base>()};
        return point;
    }
    Element p = minus(times(b.x, a.zz), a.x);
    Element r = minus(times(b.y, a.zzz), a.y);
    if (is_zero(p)) return is_zero(r) ? doubled(a) : identity();
    Element pp = times(p, p);
    Element ppp = times(p, pp);
    Element q = times(a.x, pp);
    Point sum;
    sum.x = minus(minus(times(r, r), ppp), plus(q, q));
    sum.y = minus(times(r, minus(q, sum.x)), times(a.y, ppp));
    sum.zz = times(a.zz, pp);
    sum.zzz = times(a.zzz, ppp);
    return sum;
}
