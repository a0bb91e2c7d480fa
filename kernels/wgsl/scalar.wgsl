// base ^ exponent for a 32-bit exponent.
fn fr_power(base: Element, exponent: u32) -> Element {
    var value = FR_ONE;
    var bit = 32u - countLeadingZeros(exponent);
    while (bit > 0u) {
        bit -= 1u;
        value = fr_mul(value, value);
        if (((exponent >> bit) & 1u) != 0u) {
            value = fr_mul(value, base);
        }
    }
    return value;
}

// 1 / a by Fermat's theorem; zero for zero.
fn fr_inverse(a: Element) -> Element {
    var exponent = FR_EXPONENT;
    var value = FR_ONE;
    for (var step = 0u; step < 256u; step += 1u) {
        let word = 7u - (step >> 5u);
        var limb = exponent.low[word & 3u];
        if (word >= 4u) {
            limb = exponent.high[word & 3u];
        }
        value = fr_mul(value, value);
        if (((limb >> (31u - (step & 31u))) & 1u) != 0u) {
            value = fr_mul(value, a);
        }
    }
    return value;
}

fn fr_negative(a: Element) -> Element {
    return fr_sub(ZERO, a);
}

// The element of a 64-bit magnitude and a sign.
fn fr_from_integer(low: u32, high: u32, negative: bool) -> Element {
    let value = fr_mul(FR_SQUARE, Element(vec4<u32>(low, high, 0u, 0u), vec4<u32>(0u, 0u, 0u, 0u)));
    if (negative) {
        return fr_negative(value);
    }
    return value;
}
