// Geometric boxes. First every axis is written out as a table of its entries. Then every combination of entries adds its value to an
// accumulator of eight limbs of 64 bits for each target entry, of which every addition fills the lower half, so that the order does
// not matter and 2^32 additions fit. Last, accumulators are reduced and added to the target.
#pragma once
#include "field.cuh"

struct AxisEntry {
    u64 position;
    u64 output;
    Element factor;
};

struct Segment {
    // First work item, first entry in the table, number of entries.
    u64 item;
    u64 entry;
    u64 count;
    u64 start;
    u64 step;
    u64 output_start;
    u64 output_step;
    u64 unused;
    Element ratio;
    Element scale;
};

struct Axis {
    u64 entry;
    u64 count;
};

struct Box {
    // First work item; where its axes begin in the list, the innermost first, and how many they are.
    u64 item;
    u64 axis;
    u64 axes;
    // Work items that its innermost axis makes.
    u64 chunks;
    u64 position;
    u64 output;
    Element scale;
};

// The part that a work item belongs to: the last that does not begin after it.
template <class Part> DEVICE u64 part_of(const Part* parts, u64 count, u64 item) {
    u64 below = 0, above = count;
    while (above - below > 1) {
        u64 middle = (below + above) / 2;
        if (parts[middle].item <= item)
            below = middle;
        else
            above = middle;
    }
    return below;
}

// A thread writes 16 entries of a segment.
KERNEL(128) void write_tables(AxisEntry* table, const Segment* segments, u64 count, u64 items) {
    const u64 ENTRIES = 16;
    u64 item = thread_number();
    if (item >= items) return;
    const Segment& segment = segments[part_of(segments, count, item)];
    u64 first = (item - segment.item) * ENTRIES;
    Element ratio = segment.ratio;
    Element factor = mul<Scalar>(segment.scale, power<Scalar>(ratio, first));
    for (u64 index = first; index < first + ENTRIES && index < segment.count; index++) {
        AxisEntry entry;
        entry.position = segment.start + index * segment.step;
        entry.output = segment.output_start + index * segment.output_step;
        entry.factor = factor;
        table[segment.entry + index] = entry;
        factor = mul<Scalar>(factor, ratio);
    }
}

DEVICE void accumulate_at(u64* sums, u64 index, const Element& value) {
    UNROLL for (int i = 0; i < 8; i++) {
        if (value.limb[i] != 0) atomicAdd(&sums[8 * index + i], (u64)value.limb[i]);
    }
}

struct BoxList {
    const Box* boxes;
    const Axis* axes;
    const AxisEntry* table;
    // What is contracted; without it boxes are written out.
    const Element* source;
    u64 count;
    u64 items;
    // First target entry that has an accumulator, and how many have.
    u64 low;
    u64 window;
};

// A thread does 32 entries of a box's innermost axis; those that follow each other to the same place are added up first.
KERNEL(128) void accumulate_boxes(u64* sums, BoxList list) {
    const u64 CHUNK = 32;
    u64 item = thread_number();
    if (item >= list.items) return;
    const Box& box = list.boxes[part_of(list.boxes, list.count, item)];
    u64 rest = item - box.item;
    u64 first = rest % box.chunks * CHUNK;
    rest /= box.chunks;
    u64 position = box.position, output = box.output;
    Element factor = box.scale;
    for (u64 axis = 1; axis < box.axes; axis++) {
        Axis range = list.axes[box.axis + axis];
        const AxisEntry& entry = list.table[range.entry + rest % range.count];
        rest /= range.count;
        position += entry.position;
        output += entry.output;
        factor = mul<Scalar>(factor, entry.factor);
    }
    Axis inner = list.axes[box.axis];
    u64 end = first + CHUNK < inner.count ? first + CHUNK : inner.count;
    Element sum = zero();
    u64 place = 0;
    for (u64 index = first; index < end; index++) {
        const AxisEntry& entry = list.table[inner.entry + index];
        Element value = entry.factor;
        u64 at = position + entry.position;
        if (list.source) {
            value = mul<Scalar>(value, list.source[at]);
            at = output + entry.output;
        }
        if (index > first && at != place) {
            if (place - list.low < list.window) accumulate_at(sums, place - list.low, mul<Scalar>(factor, sum));
            sum = zero();
        }
        place = at;
        sum = add<Scalar>(sum, value);
    }
    if (place - list.low < list.window) accumulate_at(sums, place - list.low, mul<Scalar>(factor, sum));
}

// target[i] += accumulator i
KERNEL(256) void settle(Element* target, const u64* sums, u64 len) {
    u64 index = thread_number();
    if (index >= len) return;
    Element low, high = zero(), square;
    u64 carry = 0;
    UNROLL for (int i = 0; i < 8; i++) {
        u64 limb = sums[8 * index + i];
        u64 sum = (limb & 0xffffffffu) + (carry & 0xffffffffu);
        low.limb[i] = (u32)sum;
        carry = (limb >> 32) + (carry >> 32) + (sum >> 32);
    }
    high.limb[0] = (u32)carry;
    high.limb[1] = (u32)(carry >> 32);
    UNROLL for (int i = 0; i < 8; i++) square.limb[i] = Scalar::square(i);
    Element value = add<Scalar>(mul<Scalar>(low, one<Scalar>()), mul<Scalar>(high, square));
    target[index] = add<Scalar>(target[index], value);
}
