// Arithmetic modulo the two primes of BN254: elements are eight limbs of 32 bits, the lowest first, in Montgomery form with
// radix 2^256 and fully reduced, as the host keeps them.
#pragma once
#include "device.cuh"

struct ALIGN16 Element {
    u32 limb[8];
};

DEVICE constexpr u32 pick(int i, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f, u32 g, u32 h) {
    return i == 0 ? a : i == 1 ? b : i == 2 ? c : i == 3 ? d : i == 4 ? e : i == 5 ? f : i == 6 ? g : h;
}

// The order of the group, to which scalars belong; `one` is 2^256 and `square` 2^512 modulo it.
struct Scalar {
    DEVICE static constexpr u32 modulus(int i) {
        return pick(i, 0xf0000001u, 0x43e1f593u, 0x79b97091u, 0x2833e848u, 0x8181585du, 0xb85045b6u, 0xe131a029u, 0x30644e72u);
    }
    DEVICE static constexpr u32 one(int i) {
        return pick(i, 0x4ffffffbu, 0xac96341cu, 0x9f60cd29u, 0x36fc7695u, 0x7879462eu, 0x666ea36fu, 0x9a07df2fu, 0x0e0a77c1u);
    }
    DEVICE static constexpr u32 square(int i) {
        return pick(i, 0xae216da7u, 0x1bb8e645u, 0xe35c59e3u, 0x53fe3ab1u, 0x53bb8085u, 0x8c49833du, 0x7f4e44a5u, 0x0216d0b1u);
    }
    static constexpr u32 NEGATED_INVERSE = 0xefffffffu;
    static constexpr u64 NEGATED_INVERSE_LONG = 0xc2e1f593efffffffull;
};

// The field of coordinates.
struct Base {
    DEVICE static constexpr u32 modulus(int i) {
        return pick(i, 0xd87cfd47u, 0x3c208c16u, 0x6871ca8du, 0x97816a91u, 0x8181585du, 0xb85045b6u, 0xe131a029u, 0x30644e72u);
    }
    DEVICE static constexpr u32 one(int i) {
        return pick(i, 0xc58f0d9du, 0xd35d438du, 0xf5c70b3du, 0x0a78eb28u, 0x7879462cu, 0x666ea36fu, 0x9a07df2fu, 0x0e0a77c1u);
    }
    DEVICE static constexpr u32 square(int i) {
        return pick(i, 0x538afa89u, 0xf32cfc5bu, 0xd44501fbu, 0xb5e71911u, 0x0a417ff6u, 0x47ab1effu, 0xcab8351fu, 0x06d89f71u);
    }
    static constexpr u32 NEGATED_INVERSE = 0xe4866389u;
    static constexpr u64 NEGATED_INVERSE_LONG = 0x87d20782e4866389ull;
};

DEVICE bool is_zero(const Element& a) {
    u32 any = 0;
    UNROLL for (int i = 0; i < 8; i++) any |= a.limb[i];
    return any == 0;
}

DEVICE Element zero() {
    Element value;
    UNROLL for (int i = 0; i < 8; i++) value.limb[i] = 0;
    return value;
}

template <class M> DEVICE Element one() {
    Element value;
    UNROLL for (int i = 0; i < 8; i++) value.limb[i] = M::one(i);
    return value;
}

// a - modulus where that is not negative; `a` is below twice the modulus.
template <class M> DEVICE Element reduced(const Element& a) {
    Element less;
    less.limb[0] = sub_cc(a.limb[0], M::modulus(0));
    UNROLL for (int i = 1; i < 8; i++) less.limb[i] = subc_cc(a.limb[i], M::modulus(i));
    u32 borrow = subc(0, 0);
    UNROLL for (int i = 0; i < 8; i++) less.limb[i] = borrow ? a.limb[i] : less.limb[i];
    return less;
}

template <class M> DEVICE Element add(const Element& a, const Element& b) {
    Element sum;
    sum.limb[0] = add_cc(a.limb[0], b.limb[0]);
    UNROLL for (int i = 1; i < 7; i++) sum.limb[i] = addc_cc(a.limb[i], b.limb[i]);
    sum.limb[7] = addc(a.limb[7], b.limb[7]);
    return reduced<M>(sum);
}

template <class M> DEVICE Element sub(const Element& a, const Element& b) {
    Element difference;
    difference.limb[0] = sub_cc(a.limb[0], b.limb[0]);
    UNROLL for (int i = 1; i < 8; i++) difference.limb[i] = subc_cc(a.limb[i], b.limb[i]);
    u32 mask = subc(0, 0);
    difference.limb[0] = add_cc(difference.limb[0], mask & M::modulus(0));
    UNROLL for (int i = 1; i < 7; i++) difference.limb[i] = addc_cc(difference.limb[i], mask & M::modulus(i));
    difference.limb[7] = addc(difference.limb[7], mask & M::modulus(7));
    return difference;
}

template <class M> DEVICE Element negated(const Element& a) {
    return sub<M>(zero(), a);
}

// a * b / 2^256. Row by row, a sum of products is kept in two parts: `even` holds products of even limbs from limb 0 on, `odd` those
// of odd limbs from limb 1 on, so that the two halves of a product are neighbours in one carry chain. When the lowest limb has
// become zero the sum moves down by a limb, and the parts change places. The sum stays below 2^288, so no chain leaves its part.
template <class M> DEVICE Element multiply_by_chains(const Element& a, const Element& b) {
    u32 even[8], odd[8];
    UNROLL for (int row = 0; row < 8; row++) {
        u32 factor = b.limb[row];
        if (row == 0) {
            UNROLL for (int i = 0; i < 8; i += 2) {
                even[i] = mul_lo(a.limb[i], factor);
                even[i + 1] = mul_hi(a.limb[i], factor);
                odd[i] = mul_lo(a.limb[i + 1], factor);
                odd[i + 1] = mul_hi(a.limb[i + 1], factor);
            }
        } else {
            u32 down[8];
            UNROLL for (int i = 0; i < 8; i++) down[i] = i < 6 ? even[i + 2] : 0;
            u32 lowest = even[1];
            UNROLL for (int i = 0; i < 8; i++) even[i] = odd[i];
            even[0] = add_cc(even[0], lowest);
            UNROLL for (int i = 0; i < 6; i += 2) {
                odd[i] = madc_lo_cc(a.limb[i + 1], factor, down[i]);
                odd[i + 1] = madc_hi_cc(a.limb[i + 1], factor, down[i + 1]);
            }
            odd[6] = madc_lo_cc(a.limb[7], factor, 0);
            odd[7] = madc_hi(a.limb[7], factor, 0);
            even[0] = mad_lo_cc(a.limb[0], factor, even[0]);
            even[1] = madc_hi_cc(a.limb[0], factor, even[1]);
            UNROLL for (int i = 2; i < 8; i += 2) {
                even[i] = madc_lo_cc(a.limb[i], factor, even[i]);
                even[i + 1] = madc_hi_cc(a.limb[i], factor, even[i + 1]);
            }
            odd[7] = addc(odd[7], 0);
        }
        u32 multiple = mul_lo(even[0], M::NEGATED_INVERSE);
        odd[0] = mad_lo_cc(M::modulus(1), multiple, odd[0]);
        odd[1] = madc_hi_cc(M::modulus(1), multiple, odd[1]);
        UNROLL for (int i = 2; i < 6; i += 2) {
            odd[i] = madc_lo_cc(M::modulus(i + 1), multiple, odd[i]);
            odd[i + 1] = madc_hi_cc(M::modulus(i + 1), multiple, odd[i + 1]);
        }
        odd[6] = madc_lo_cc(M::modulus(7), multiple, odd[6]);
        odd[7] = madc_hi(M::modulus(7), multiple, odd[7]);
        even[0] = mad_lo_cc(M::modulus(0), multiple, even[0]);
        even[1] = madc_hi_cc(M::modulus(0), multiple, even[1]);
        UNROLL for (int i = 2; i < 8; i += 2) {
            even[i] = madc_lo_cc(M::modulus(i), multiple, even[i]);
            even[i + 1] = madc_hi_cc(M::modulus(i), multiple, even[i + 1]);
        }
        odd[7] = addc(odd[7], 0);
    }
    Element product;
    product.limb[0] = add_cc(odd[0], even[1]);
    UNROLL for (int i = 1; i < 7; i++) product.limb[i] = addc_cc(odd[i], even[i + 1]);
    product.limb[7] = addc(odd[7], 0);
    return reduced<M>(product);
}

#ifndef __CUDACC__
#include "host/multiply.h"
#endif

template <class M> DEVICE Element mul(const Element& a, const Element& b) {
#ifdef __CUDA_ARCH__
    return multiply_by_chains<M>(a, b);
#else
    return multiply_on_host<M>(a, b);
#endif
}

template <class M> DEVICE Element power(Element base, u64 exponent) {
    Element value = one<M>();
    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1) value = mul<M>(value, base);
        base = mul<M>(base, base);
    }
    return value;
}

// 1 / a, as a^(modulus - 2); zero for zero.
template <class M> DEVICE Element inverse(const Element& a) {
    Element value = one<M>();
    NO_UNROLL for (int bit = 253; bit >= 0; bit--) {
        value = mul<M>(value, value);
        u32 limb = M::modulus(bit >> 5) - (bit < 32 ? 2 : 0);
        if ((limb >> (bit & 31)) & 1) value = mul<M>(value, a);
    }
    return value;
}
