// Geometric boxes. First every axis is written out as a table of its entries. Then every combination of entries adds its value
// to an accumulator of nine limbs for each target entry, by atomic additions that hand carries on, so that the order does not
// matter. Last, accumulators are reduced and added to the target.

struct BoxesParameters {
    // Work items of this dispatch.
    items: u32,
    // Number of segments, or of boxes.
    parts: u32,
    // First target entry that has an accumulator, and how many have.
    low: u32,
    window: u32,
    // Whether source entries are contracted; else boxes are written out.
    contract: u32,
    unused_0: u32,
    unused_1: u32,
    unused_2: u32,
}

struct Entry {
    position: u32,
    output: u32,
    unused_0: u32,
    unused_1: u32,
    factor: Element,
}

struct Segment {
    // First work item, first entry in the table, number of entries.
    item: u32,
    entry: u32,
    count: u32,
    start: u32,
    step: u32,
    output_start: u32,
    output_step: u32,
    unused: u32,
    ratio: Element,
    scale: Element,
}

struct Box {
    // First work item; where its axes begin in the list, and how many they are.
    item: u32,
    axis: u32,
    axes: u32,
    // Work items that its innermost axis makes.
    chunks: u32,
    position: u32,
    output: u32,
    unused_0: u32,
    unused_1: u32,
    scale: Element,
}

@group(0) @binding(0) var<uniform> parameters: BoxesParameters;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read_write> table: array<Entry>;

const ENTRIES = 16u;

@compute @workgroup_size(64)
fn write_tables(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = invocation(group, groups, local);
    if (item >= parameters.items) {
        return;
    }
    var below = 0u;
    var above = parameters.parts;
    while (above - below > 1u) {
        let middle = (below + above) / 2u;
        if (segments[middle].item <= item) {
            below = middle;
        } else {
            above = middle;
        }
    }
    let segment = segments[below];
    let first = (item - segment.item) * ENTRIES;
    var factor = fr_mul(segment.scale, fr_power(segment.ratio, first));
    for (var index = first; index < min(first + ENTRIES, segment.count); index += 1u) {
        table[segment.entry + index] = Entry(
            segment.start + index * segment.step,
            segment.output_start + index * segment.output_step,
            0u,
            0u,
            factor,
        );
        factor = fr_mul(factor, segment.ratio);
    }
}

@group(0) @binding(1) var<storage, read> boxes: array<Box>;
// For each axis, the innermost first, where its entries begin and how many they are.
@group(0) @binding(2) var<storage, read> axes: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> entries: array<Entry>;
@group(0) @binding(4) var<storage, read> source_entries: array<Element>;
@group(0) @binding(5) var<storage, read_write> accumulators: array<atomic<u32>>;

// Adds a limb and what is carried; gives the next carry.
fn add_limb(at: u32, value: u32, carry: u32) -> u32 {
    let sum = value + carry;
    var over = select(0u, 1u, sum < value);
    if (sum != 0u) {
        let before = atomicAdd(&accumulators[at], sum);
        over += select(0u, 1u, before + sum < before);
    }
    return over;
}

fn accumulate_value(index: u32, value: Element) {
    let at = 9u * index;
    var carry = add_limb(at, value.low.x, 0u);
    carry = add_limb(at + 1u, value.low.y, carry);
    carry = add_limb(at + 2u, value.low.z, carry);
    carry = add_limb(at + 3u, value.low.w, carry);
    carry = add_limb(at + 4u, value.high.x, carry);
    carry = add_limb(at + 5u, value.high.y, carry);
    carry = add_limb(at + 6u, value.high.z, carry);
    carry = add_limb(at + 7u, value.high.w, carry);
    carry = add_limb(at + 8u, 0u, carry);
}

const CHUNK = 32u;

@compute @workgroup_size(64)
fn accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = invocation(group, groups, local);
    if (item >= parameters.items) {
        return;
    }
    var below = 0u;
    var above = parameters.parts;
    while (above - below > 1u) {
        let middle = (below + above) / 2u;
        if (boxes[middle].item <= item) {
            below = middle;
        } else {
            above = middle;
        }
    }
    let geometric = boxes[below];
    var rest = item - geometric.item;
    let first = (rest % geometric.chunks) * CHUNK;
    rest /= geometric.chunks;
    var position = geometric.position;
    var output = geometric.output;
    var factor = geometric.scale;
    for (var axis = 1u; axis < geometric.axes; axis += 1u) {
        let range = axes[geometric.axis + axis];
        let entry = entries[range.x + rest % range.y];
        rest /= range.y;
        position += entry.position;
        output += entry.output;
        factor = fr_mul(factor, entry.factor);
    }
    let inner = axes[geometric.axis];
    var sum = ZERO;
    var place = 0u;
    let end = min(first + CHUNK, inner.y);
    for (var index = first; index < end; index += 1u) {
        let entry = entries[inner.x + index];
        var value = entry.factor;
        var at = position + entry.position;
        if (parameters.contract != 0u) {
            value = fr_mul(value, source_entries[at]);
            at = output + entry.output;
        }
        if (index > first && at != place) {
            if (place - parameters.low < parameters.window) {
                accumulate_value(place - parameters.low, fr_mul(factor, sum));
            }
            sum = ZERO;
        }
        place = at;
        sum = fr_add(sum, value);
    }
    if (place - parameters.low < parameters.window) {
        accumulate_value(place - parameters.low, fr_mul(factor, sum));
    }
}

@group(0) @binding(1) var<storage, read_write> target_entries: array<Element>;
@group(0) @binding(2) var<storage, read> sums: array<u32>;

@compute @workgroup_size(64)
fn settle(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation(group, groups, local);
    if (index >= parameters.window) {
        return;
    }
    let at = 9u * index;
    let low = Element(
        vec4<u32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]),
        vec4<u32>(sums[at + 4u], sums[at + 5u], sums[at + 6u], sums[at + 7u]),
    );
    let high = Element(vec4<u32>(sums[at + 8u], 0u, 0u, 0u), vec4<u32>(0u, 0u, 0u, 0u));
    let value = fr_add(fr_mul(FR_ONE, low), fr_mul(FR_SQUARE, high));
    let place = parameters.low + index;
    target_entries[place] = fr_add(target_entries[place], value);
}
