// Signed digits of scalars, sorted by bucket (a counting sort). A scalar s is written with digits from -2^(bits-1) to
// 2^(bits-1) - 1 in windows of so many bits: with the bias, 2^(bits-1) in every window, the digits of s + bias are those of s
// plus 2^(bits-1), so that no carries are handed on. Bucket number = window * buckets + |digit| - 1; digits zero have none.

struct DigitsParameters {
    len: u32,
    // Bits of an integer as it is stored.
    bits: u32,
    first_window: u32,
    windows: u32,
    window_bits: u32,
    // First scalar, counted from the binding's start.
    offset: u32,
    unused_0: u32,
    unused_1: u32,
    bias: array<vec4<u32>, 3>,
}

@group(0) @binding(0) var<uniform> parameters: DigitsParameters;
@group(0) @binding(1) var<storage, read> scalars: array<Element>;
// Entries of each bucket; for sorting, where each bucket's next entry goes.
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;
// Bucket, and scalar with the digit's sign in the top bit.
@group(0) @binding(3) var<storage, read_write> sorted: array<vec2<u32>>;

var<private> limbs: array<u32, 12>;

fn add_bias() {
    var carry = 0u;
    for (var index = 0u; index < 10u; index += 1u) {
        let bias = parameters.bias[index / 4u][index % 4u];
        let partial = limbs[index] + bias;
        let sum = partial + carry;
        carry = select(0u, 1u, partial < bias) | select(0u, 1u, sum < partial);
        limbs[index] = sum;
    }
}

fn take_element(index: u32) {
    let one = Element(vec4<u32>(1u, 0u, 0u, 0u), vec4<u32>(0u, 0u, 0u, 0u));
    let value = fr_mul(scalars[parameters.offset + index], one);
    for (var limb = 0u; limb < 4u; limb += 1u) {
        limbs[limb] = value.low[limb];
        limbs[4u + limb] = value.high[limb];
        limbs[8u + limb] = 0u;
    }
    add_bias();
}

fn take_integer(index: u32) {
    let value = integer_at(parameters.offset + index, parameters.bits);
    limbs[0] = value.x;
    limbs[1] = value.y;
    let sign = select(0u, 0xffffffffu, is_negative(value));
    for (var limb = 2u; limb < 12u; limb += 1u) {
        limbs[limb] = sign;
    }
    add_bias();
}

// The digit in a window.
fn digit(window: u32) -> i32 {
    let bit = window * parameters.window_bits;
    let shift = bit & 31u;
    var word = limbs[bit >> 5u] >> shift;
    if (shift != 0u) {
        word |= limbs[(bit >> 5u) + 1u] << (32u - shift);
    }
    let mask = (1u << parameters.window_bits) - 1u;
    return bitcast<i32>(word & mask) - bitcast<i32>(1u << (parameters.window_bits - 1u));
}

fn bucket(window: u32, value: i32) -> u32 {
    return (window << (parameters.window_bits - 1u)) + u32(abs(value)) - 1u;
}

fn count() {
    for (var window = 0u; window < parameters.windows; window += 1u) {
        let value = digit(parameters.first_window + window);
        if (value != 0) {
            atomicAdd(&counts[bucket(window, value)], 1u);
        }
    }
}

fn sort(index: u32) {
    for (var window = 0u; window < parameters.windows; window += 1u) {
        let value = digit(parameters.first_window + window);
        if (value != 0) {
            let number = bucket(window, value);
            let at = atomicAdd(&counts[number], 1u);
            sorted[at] = vec2<u32>(number, index | select(0u, 0x80000000u, value < 0));
        }
    }
}

@compute @workgroup_size(64)
fn count_elements(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index < parameters.len) {
        take_element(index);
        count();
    }
}

@compute @workgroup_size(64)
fn count_integers(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index < parameters.len) {
        take_integer(index);
        count();
    }
}

@compute @workgroup_size(64)
fn sort_elements(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index < parameters.len) {
        take_element(index);
        sort(index);
    }
}

@compute @workgroup_size(64)
fn sort_integers(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index < parameters.len) {
        take_integer(index);
        sort(index);
    }
}

// ---- exclusive prefix sums of counts, by blocks as in the scans of field elements ----

struct CountsParameters {
    len: u32,
    block: u32,
    // Whether blocks start from `before`; else from zero.
    entered: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> counts_parameters: CountsParameters;
@group(0) @binding(1) var<storage, read_write> summed: array<u32>;
@group(0) @binding(2) var<storage, read_write> before: array<u32>;

// before[block] = sum of the block
@compute @workgroup_size(64)
fn fold_counts(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = invocation(group, groups, local);
    let start = number * counts_parameters.block;
    if (start >= counts_parameters.len) {
        return;
    }
    let end = min(start + counts_parameters.block, counts_parameters.len);
    var sum = 0u;
    for (var index = start; index < end; index += 1u) {
        sum += summed[index];
    }
    before[number] = sum;
}

// Each count becomes the sum of those before it.
@compute @workgroup_size(64)
fn scan_counts(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = invocation(group, groups, local);
    let start = number * counts_parameters.block;
    if (start >= counts_parameters.len) {
        return;
    }
    let end = min(start + counts_parameters.block, counts_parameters.len);
    var sum = 0u;
    if (counts_parameters.entered != 0u) {
        sum = before[number];
    }
    for (var index = start; index < end; index += 1u) {
        let own = summed[index];
        summed[index] = sum;
        sum += own;
    }
}
