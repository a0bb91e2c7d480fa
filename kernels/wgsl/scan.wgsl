// Scans by blocks. A block is folded to its own value, the blocks' own values are scanned (by the same entry points, one level
// up) to the values that enter the blocks, and from these the blocks are scanned. One invocation does one block.

struct ScanParameters {
    // Number of entries, and where they begin.
    len: u32,
    offset: u32,
    block: u32,
    // Whether a value is multiplied by the entry; else it is multiplied by `ratio`, and the entry is added.
    product: u32,
    // Whether the scan goes from the last entry to the first.
    backwards: u32,
    // Whether a value is written before its entry is taken in.
    exclusive: u32,
    // Where results begin.
    out: u32,
    unused: u32,
    ratio: Element,
}

@group(0) @binding(0) var<uniform> parameters: ScanParameters;
@group(0) @binding(1) var<storage, read_write> results: array<Element>;
@group(0) @binding(2) var<storage, read> entries: array<Element>;
@group(0) @binding(3) var<storage, read> enters: array<Element>;

// Position `index` of the scan's order among the entries.
fn place(index: u32) -> u32 {
    return select(index, parameters.len - 1u - index, parameters.backwards != 0u);
}

fn next(value: Element, entry: Element) -> Element {
    if (parameters.product != 0u) {
        return fr_mul(value, entry);
    }
    return fr_add(fr_mul(parameters.ratio, value), entry);
}

// results[block] = the block's own value
@compute @workgroup_size(64)
fn fold(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = invocation(group, groups, local);
    let start = number * parameters.block;
    if (start >= parameters.len) {
        return;
    }
    let end = min(start + parameters.block, parameters.len);
    var value = ZERO;
    if (parameters.product != 0u) {
        value = FR_ONE;
    }
    for (var index = start; index < end; index += 1u) {
        value = next(value, entries[parameters.offset + place(index)]);
    }
    results[number] = value;
}

// results[out + i] = the scan's values, block by block from the value that enters it
@compute @workgroup_size(64)
fn scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = invocation(group, groups, local);
    let start = number * parameters.block;
    if (start >= parameters.len) {
        return;
    }
    let end = min(start + parameters.block, parameters.len);
    var value = enters[number];
    for (var index = start; index < end; index += 1u) {
        let at = place(index);
        let following = next(value, entries[parameters.offset + at]);
        if (parameters.exclusive != 0u) {
            results[parameters.out + at] = value;
        } else {
            results[parameters.out + at] = following;
        }
        value = following;
    }
}

// results[out + block] = entries[start] + ratio * entries[start + 1] + ..., by Horner's rule
@compute @workgroup_size(64)
fn horner(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = invocation(group, groups, local);
    let start = number * parameters.block;
    if (start >= parameters.len) {
        return;
    }
    var value = ZERO;
    for (var index = min(start + parameters.block, parameters.len); index > start; index -= 1u) {
        value = fr_add(fr_mul(parameters.ratio, value), entries[parameters.offset + index - 1u]);
    }
    results[parameters.out + number] = value;
}
