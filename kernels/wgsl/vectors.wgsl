// ---- linear combinations: up to six vectors of their own lengths, each with a factor ----

struct CombineParameters {
    len: u32,
    terms: u32,
    // Whether the sum is added to what is there.
    accumulate: u32,
    unused: u32,
    lengths: array<vec4<u32>, 2>,
    factors: array<Element, 6>,
}

@group(0) @binding(0) var<uniform> combine_parameters: CombineParameters;
@group(0) @binding(1) var<storage, read_write> combined: array<Element>;
@group(0) @binding(2) var<storage, read> term_0: array<Element>;
@group(0) @binding(3) var<storage, read> term_1: array<Element>;
@group(0) @binding(4) var<storage, read> term_2: array<Element>;
@group(0) @binding(5) var<storage, read> term_3: array<Element>;
@group(0) @binding(6) var<storage, read> term_4: array<Element>;
@group(0) @binding(7) var<storage, read> term_5: array<Element>;

fn term_at(term: u32, index: u32) -> Element {
    switch term {
        case 0u: { return term_0[index]; }
        case 1u: { return term_1[index]; }
        case 2u: { return term_2[index]; }
        case 3u: { return term_3[index]; }
        case 4u: { return term_4[index]; }
        default: { return term_5[index]; }
    }
}

@compute @workgroup_size(64)
fn combine(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index >= combine_parameters.len) {
        return;
    }
    var sum = ZERO;
    if (combine_parameters.accumulate != 0u) {
        sum = combined[index];
    }
    for (var term = 0u; term < combine_parameters.terms; term += 1u) {
        if (index < combine_parameters.lengths[term / 4u][term % 4u]) {
            sum = fr_add(sum, fr_mul(combine_parameters.factors[term], term_at(term, index)));
        }
    }
    combined[index] = sum;
}

// ---- target[offset + i] += factor * source[i] ----

struct AddScaledParameters {
    len: u32,
    offset: u32,
    unused_0: u32,
    unused_1: u32,
    factor: Element,
}

@group(0) @binding(0) var<uniform> add_scaled_parameters: AddScaledParameters;
@group(0) @binding(1) var<storage, read_write> target_entries: array<Element>;
@group(0) @binding(2) var<storage, read> source_entries: array<Element>;

@compute @workgroup_size(64)
fn add_scaled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index >= add_scaled_parameters.len) {
        return;
    }
    let at = add_scaled_parameters.offset + index;
    let product = fr_mul(add_scaled_parameters.factor, source_entries[index]);
    target_entries[at] = fr_add(target_entries[at], product);
}

// ---- integers as field elements ----

struct WidenParameters {
    len: u32,
    bits: u32,
    unused_0: u32,
    unused_1: u32,
}

@group(0) @binding(0) var<uniform> widen_parameters: WidenParameters;
@group(0) @binding(2) var<storage, read_write> widened: array<Element>;

@compute @workgroup_size(64)
fn widen(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index >= widen_parameters.len) {
        return;
    }
    let integer = integer_at(index, widen_parameters.bits);
    let absolute = magnitude(integer);
    widened[index] = fr_from_integer(absolute.x, absolute.y, is_negative(integer));
}

// ---- entries times a geometric progression: out[i] = first * ratio^i * (folded entry i) ----
// Entry i is folded as entries[i] + fold * entries[i + len] + fold^2 * entries[i + 2 len] + ...; without entries it is one.
// An invocation does the positions that are `threads` (a power of two) apart.

struct ProgressionParameters {
    len: u32,
    entries: u32,
    log_threads: u32,
    ones: u32,
    first: Element,
    fold: Element,
    // ratio ^ (2^k)
    powers: array<Element, 29>,
}

@group(0) @binding(0) var<uniform> progression_parameters: ProgressionParameters;
@group(0) @binding(1) var<storage, read_write> progression_out: array<Element>;
@group(0) @binding(2) var<storage, read> progression_entries: array<Element>;

fn folded(index: u32) -> Element {
    let len = progression_parameters.len;
    let entries = progression_parameters.entries;
    if (progression_parameters.ones != 0u) {
        return FR_ONE;
    }
    if (index >= entries) {
        return ZERO;
    }
    var at = index + (entries - 1u - index) / len * len;
    var value = progression_entries[at];
    while (at >= len) {
        at -= len;
        value = fr_add(fr_mul(value, progression_parameters.fold), progression_entries[at]);
    }
    return value;
}

@compute @workgroup_size(64)
fn progression(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let log_threads = progression_parameters.log_threads;
    let start = invocation(group, groups, local);
    if (start >= (1u << log_threads)) {
        return;
    }
    var factor = progression_parameters.first;
    for (var bit = 0u; bit < log_threads; bit += 1u) {
        if (((start >> bit) & 1u) != 0u) {
            factor = fr_mul(factor, progression_parameters.powers[bit]);
        }
    }
    for (var index = start; index < progression_parameters.len; index += 1u << log_threads) {
        progression_out[index] = fr_mul(factor, folded(index));
        factor = fr_mul(factor, progression_parameters.powers[log_threads]);
    }
}

// ---- inversion: an invocation shares one inversion among the entries that are `threads` apart ----

struct InvertParameters {
    len: u32,
    threads: u32,
    unused_0: u32,
    unused_1: u32,
}

@group(0) @binding(0) var<uniform> invert_parameters: InvertParameters;
@group(0) @binding(1) var<storage, read_write> inverted: array<Element>;
@group(0) @binding(2) var<storage, read_write> products_before: array<Element>;

@compute @workgroup_size(64)
fn invert(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let threads = invert_parameters.threads;
    let start = invocation(group, groups, local);
    if (start >= min(threads, invert_parameters.len)) {
        return;
    }
    var product = FR_ONE;
    var index = start;
    for (; index < invert_parameters.len; index += threads) {
        products_before[index] = product;
        let value = inverted[index];
        if (!is_zero(value)) {
            product = fr_mul(product, value);
        }
    }
    var inverse = fr_inverse(product);
    while (index >= threads) {
        index -= threads;
        let value = inverted[index];
        if (!is_zero(value)) {
            inverted[index] = fr_mul(inverse, products_before[index]);
            inverse = fr_mul(inverse, value);
        }
    }
}
