// Some consecutive stages of a transform on 2^log_size entries, decimation in time: a group of invocations takes the entries that
// these stages mix, which differ in the bits first_stage .. first_stage + stages of their position, into its own memory. The
// first pass reads in bit-reversed order and writes to another buffer.

struct TransformParameters {
    log_size: u32,
    first_stage: u32,
    stages: u32,
    // Whether the roots are inverted.
    inverse: u32,
    // 2^log_roots is the order of the first root; `roots` has the first half of its powers.
    log_roots: u32,
    // Whether entries are multiplied by `factor` when written.
    scaled: u32,
    unused_0: u32,
    unused_1: u32,
    factor: Element,
}

@group(0) @binding(0) var<uniform> parameters: TransformParameters;
@group(0) @binding(1) var<storage, read_write> values: array<Element>;
@group(0) @binding(2) var<storage, read> roots: array<Element>;
@group(0) @binding(3) var<storage, read> entries: array<Element>;

var<workgroup> tile: array<Element, 512>;

// Where entry `index` of a tile stands in the vector.
fn place(number: u32, index: u32) -> u32 {
    let below = number & ((1u << parameters.first_stage) - 1u);
    let above = (number >> parameters.first_stage) << (parameters.first_stage + parameters.stages);
    return above | (index << parameters.first_stage) | below;
}

fn root(exponent: u32) -> Element {
    if (parameters.inverse == 0u || exponent == 0u) {
        return roots[exponent];
    }
    return fr_sub(ZERO, roots[(1u << (parameters.log_roots - 1u)) - exponent]);
}

fn mix(number: u32, local: u32) {
    let half = 1u << (parameters.stages - 1u);
    let below = number & ((1u << parameters.first_stage) - 1u);
    for (var stage = 0u; stage < parameters.stages; stage += 1u) {
        let shift = parameters.log_roots - 1u - parameters.first_stage - stage;
        for (var pair = local; pair < half; pair += 128u) {
            let inner = pair & ((1u << stage) - 1u);
            let index = ((pair >> stage) << (stage + 1u)) | inner;
            let exponent = ((inner << parameters.first_stage) | below) << shift;
            let product = fr_mul(tile[index + (1u << stage)], root(exponent));
            let other = tile[index];
            tile[index] = fr_add(other, product);
            tile[index + (1u << stage)] = fr_sub(other, product);
        }
        workgroupBarrier();
    }
}

fn write_out(number: u32, local: u32) {
    for (var index = local; index < (1u << parameters.stages); index += 128u) {
        var value = tile[index];
        if (parameters.scaled != 0u) {
            value = fr_mul(parameters.factor, value);
        }
        values[place(number, index)] = value;
    }
}

@compute @workgroup_size(128)
fn first_pass(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = group.y * groups.x + group.x;
    // Groups past the end do the last tile's work on its own entries and write nothing.
    let real = number < (1u << (parameters.log_size - parameters.stages));
    let reversed = 32u - parameters.log_size;
    if (real) {
        for (var index = local; index < (1u << parameters.stages); index += 128u) {
            tile[index] = entries[reverseBits(place(number, index)) >> reversed];
        }
    }
    workgroupBarrier();
    mix(number, local);
    if (real) {
        write_out(number, local);
    }
}

@compute @workgroup_size(128)
fn next_pass(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = group.y * groups.x + group.x;
    let real = number < (1u << (parameters.log_size - parameters.stages));
    if (real) {
        for (var index = local; index < (1u << parameters.stages); index += 128u) {
            tile[index] = values[place(number, index)];
        }
    }
    workgroupBarrier();
    mix(number, local);
    if (real) {
        write_out(number, local);
    }
}
