// An integer matrix times weights: out[k] = sum over rows of weight[row] * matrix[row * width + k]. An invocation sums some rows
// of one column, in two sums of twelve limbs for entries above and below zero, which are reduced once.

struct RowsParameters {
    rows: u32,
    width: u32,
    bits: u32,
    // Rows of one invocation, and how many pieces of so many rows there are.
    piece: u32,
    pieces: u32,
    // Where the target begins; used when pieces are added up.
    offset: u32,
    unused_0: u32,
    unused_1: u32,
}

@group(0) @binding(0) var<uniform> parameters: RowsParameters;
@group(0) @binding(2) var<storage, read> weights: array<Element>;
@group(0) @binding(3) var<storage, read_write> partial_sums: array<Element>;

struct Sum {
    low: vec4<u32>,
    middle: vec4<u32>,
    high: vec4<u32>,
}

// (low, high) of a * b + addend + carry
fn product(a: u32, b: u32, addend: u32, carry: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let p01 = a0 * b1;
    let p10 = a1 * b0;
    let middle = ((a0 * b0) >> 16u) + (p01 & 0xffffu) + (p10 & 0xffffu);
    var high = a1 * b1 + (p01 >> 16u) + (p10 >> 16u) + (middle >> 16u);
    let low = a * b;
    let partial = low + addend;
    high += select(0u, 1u, partial < low);
    let total = partial + carry;
    high += select(0u, 1u, total < partial);
    return vec2<u32>(total, high);
}

// sum + weight * word, the product shifted by `shift` limbs, which is zero or one
fn multiplied(sum: Sum, weight: Element, word: u32, shift: u32) -> Sum {
    var limbs = array<u32, 12>(
        sum.low.x, sum.low.y, sum.low.z, sum.low.w,
        sum.middle.x, sum.middle.y, sum.middle.z, sum.middle.w,
        sum.high.x, sum.high.y, sum.high.z, sum.high.w,
    );
    var carry = 0u;
    for (var index = 0u; index < 8u; index += 1u) {
        var limb = weight.low[index & 3u];
        if (index >= 4u) {
            limb = weight.high[index & 3u];
        }
        let pair = product(limb, word, limbs[index + shift], carry);
        limbs[index + shift] = pair.x;
        carry = pair.y;
    }
    for (var index = 8u + shift; index < 12u; index += 1u) {
        limbs[index] += carry;
        carry = select(0u, 1u, limbs[index] < carry);
    }
    return Sum(
        vec4<u32>(limbs[0], limbs[1], limbs[2], limbs[3]),
        vec4<u32>(limbs[4], limbs[5], limbs[6], limbs[7]),
        vec4<u32>(limbs[8], limbs[9], limbs[10], limbs[11]),
    );
}

// The sum modulo the field's order.
fn reduced(sum: Sum) -> Element {
    let high = fr_mul(FR_SQUARE, Element(sum.high, vec4<u32>(0u, 0u, 0u, 0u)));
    return fr_add(fr_mul(FR_ONE, Element(sum.low, sum.middle)), high);
}

@compute @workgroup_size(64)
fn sum_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = invocation(group, groups, local);
    if (item >= parameters.width * parameters.pieces) {
        return;
    }
    let column = item % parameters.width;
    let first = item / parameters.width * parameters.piece;
    let end = min(first + parameters.piece, parameters.rows);
    let nothing = vec4<u32>(0u, 0u, 0u, 0u);
    var sums = array<Sum, 2>(Sum(nothing, nothing, nothing), Sum(nothing, nothing, nothing));
    for (var row = first; row < end; row += 1u) {
        let integer = integer_at(row * parameters.width + column, parameters.bits);
        if ((integer.x | integer.y) == 0u) {
            continue;
        }
        let absolute = magnitude(integer);
        let side = select(0u, 1u, is_negative(integer));
        var sum = multiplied(sums[side], weights[row], absolute.x, 0u);
        if (absolute.y != 0u) {
            sum = multiplied(sum, weights[row], absolute.y, 1u);
        }
        sums[side] = sum;
    }
    partial_sums[item] = fr_sub(reduced(sums[0]), reduced(sums[1]));
}

@group(0) @binding(1) var<storage, read_write> target_entries: array<Element>;
@group(0) @binding(2) var<storage, read> pieces: array<Element>;

@compute @workgroup_size(64)
fn add_pieces(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = invocation(group, groups, local);
    if (column >= parameters.width) {
        return;
    }
    var sum = target_entries[parameters.offset + column];
    for (var piece = 0u; piece < parameters.pieces; piece += 1u) {
        sum = fr_add(sum, pieces[piece * parameters.width + column]);
    }
    target_entries[parameters.offset + column] = sum;
}
