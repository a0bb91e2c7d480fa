// Included by field.cuh.
#pragma once

// The same product as the carry chains', which are slow here, in limbs of 64 bits.
template <class M> static inline Element multiply_on_host(const Element& a, const Element& b) {
    typedef unsigned __int128 u128;
    u64 left[4], right[4], modulus[4], sum[5] = {0, 0, 0, 0, 0};
    memcpy(left, &a, 32);
    memcpy(right, &b, 32);
    for (int i = 0; i < 4; i++) modulus[i] = M::modulus(2 * i) | (u64)M::modulus(2 * i + 1) << 32;
    for (int row = 0; row < 4; row++) {
        u64 carry = 0;
        for (int i = 0; i < 4; i++) {
            u128 word = (u128)left[i] * right[row] + sum[i] + carry;
            sum[i] = (u64)word;
            carry = (u64)(word >> 64);
        }
        sum[4] += carry;
        u64 multiple = sum[0] * M::NEGATED_INVERSE_LONG;
        carry = (u64)(((u128)multiple * modulus[0] + sum[0]) >> 64);
        for (int i = 1; i < 4; i++) {
            u128 word = (u128)multiple * modulus[i] + sum[i] + carry;
            sum[i - 1] = (u64)word;
            carry = (u64)(word >> 64);
        }
        u128 word = (u128)sum[4] + carry;
        sum[3] = (u64)word;
        sum[4] = (u64)(word >> 64);
    }
    Element product;
    memcpy(&product, sum, 32);
    return reduced<M>(product);
}
