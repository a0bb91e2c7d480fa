// addend + a * b + carry as (low, high), by products of 16 bits.
fn multiply_add(addend: u32, a: u32, b: u32, carry: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let p01 = a0 * b1;
    let p10 = a1 * b0;
    let middle = ((a0 * b0) >> 16u) + (p01 & 0xffffu) + (p10 & 0xffffu);
    var high = a1 * b1 + (p01 >> 16u) + (p10 >> 16u) + (middle >> 16u);
    let product = a * b;
    let partial = product + addend;
    high += select(0u, 1u, partial < product);
    let low = partial + carry;
    high += select(0u, 1u, low < partial);
    return vec2<u32>(low, high);
}
