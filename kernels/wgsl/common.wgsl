// A field element in Montgomery form with the radix 2^256, least significant limb first.
struct Element {
    low: vec4<u32>,
    high: vec4<u32>,
}

const ZERO = Element(vec4<u32>(0u, 0u, 0u, 0u), vec4<u32>(0u, 0u, 0u, 0u));

fn is_zero(a: Element) -> bool {
    return all((a.low | a.high) == vec4<u32>(0u, 0u, 0u, 0u));
}

fn is_equal(a: Element, b: Element) -> bool {
    return all(a.low == b.low) && all(a.high == b.high);
}

// Number of an invocation among all groups of 64, which are laid out in two dimensions.
fn invocation(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * 64u + local;
}
