// Runs a program on rows; an invocation does the rows that are `threads` apart. Registers stand in a buffer, neighbours'
// registers side by side. Inputs are at bindings from 5 on, where `input_at` reads them.

struct InterpreterParameters {
    rows: u32,
    threads: u32,
    loads: u32,
    steps: u32,
    output: u32,
    // Where row 0 stands in the output.
    first: u32,
    unused_1: u32,
    unused_2: u32,
}

@group(0) @binding(0) var<uniform> parameters: InterpreterParameters;
// For each load its buffer, the place of row 0 and the rotation; then the steps.
@group(0) @binding(1) var<storage, read> code: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> constants: array<Element>;
@group(0) @binding(3) var<storage, read_write> registers: array<Element>;
@group(0) @binding(4) var<storage, read_write> output: array<Element>;

fn operand(word: u32, row: u32, thread: u32) -> Element {
    let number = word & 0xfffffffu;
    switch word >> 28u {
        case 0u: { return registers[number * parameters.threads + thread]; }
        case 1u: { return constants[number]; }
        default: {
            let load = code[number];
            var at = row + load.z;
            if (at >= parameters.rows) {
                at -= parameters.rows;
            }
            return input_at(load.x, load.y + at);
        }
    }
}

@compute @workgroup_size(64)
fn interpret(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let thread = invocation(group, groups, local);
    if (thread >= parameters.threads) {
        return;
    }
    for (var row = thread; row < parameters.rows; row += parameters.threads) {
        for (var step = 0u; step < parameters.steps; step += 1u) {
            let words = code[parameters.loads + step];
            let a = operand(words.z, row, thread);
            let b = operand(words.w, row, thread);
            var result: Element;
            switch words.x {
                case 0u: { result = fr_add(a, b); }
                case 1u: { result = fr_sub(a, b); }
                default: { result = fr_mul(a, b); }
            }
            registers[words.y * parameters.threads + thread] = result;
        }
        output[parameters.first + row] = operand(parameters.output, row, thread);
    }
}
