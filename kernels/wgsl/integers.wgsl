// Signed integers of 8, 16, 32 or 64 bits, packed.
@group(0) @binding(1) var<storage, read> integers: array<u32>;

// The integer at an index, sign-extended to 64 bits, as (low, high).
fn integer_at(index: u32, bits: u32) -> vec2<u32> {
    if (bits == 64u) {
        return vec2<u32>(integers[2u * index], integers[2u * index + 1u]);
    }
    let per_word = 32u / bits;
    let shift = bits * (index % per_word);
    let word = bitcast<i32>(integers[index / per_word] << (32u - bits - shift)) >> (32u - bits);
    return vec2<u32>(bitcast<u32>(word), bitcast<u32>(word >> 31u));
}

fn is_negative(integer: vec2<u32>) -> bool {
    return (integer.y >> 31u) != 0u;
}

fn magnitude(integer: vec2<u32>) -> vec2<u32> {
    if (!is_negative(integer)) {
        return integer;
    }
    let low = ~integer.x + 1u;
    return vec2<u32>(low, ~integer.y + select(0u, 1u, low == 0u));
}
