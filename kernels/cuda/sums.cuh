// Sums of runs: entries are sorted by bucket, and a thread adds up a piece of them. A run that touches neither end of its piece is a
// whole bucket, which is written. The first and the last run go to the next level's entries, with their bucket, of which pieces are
// made again; the last level has one piece, all of whose runs are whole. So equal scalars cost no more than different ones.
#pragma once
#include "digits.cuh"
#include "point.cuh"

// Bucket of an entry that is not there.
static const u32 NO_BUCKET = 0xffffffffu;

struct Entry {
    u32 bucket;
    u32 unused[3];
    Point point;
};

DEVICE void write_entry(Entry* entry, u32 bucket, const Point& point) {
    entry->bucket = bucket;
    entry->point = point;
}

// The number of sorted entries stands behind the last bucket's count.
KERNEL(128) void sum_sorted(Point* buckets, Entry* ends, const Sorted* sorted, const u32* count, const Affine* bases, u64 pieces, u32 piece) {
    u64 number = thread_number();
    if (number >= pieces) return;
    u64 start = number * piece, end = start + piece < *count ? start + piece : *count;
    ends[2 * number].bucket = ends[2 * number + 1].bucket = NO_BUCKET;
    if (start >= end) return;
    u32 run = sorted[start].bucket;
    bool first = true;
    Point sum = identity();
    NO_UNROLL for (u64 index = start; index < end; index++) {
        Sorted entry = sorted[index];
        if (entry.bucket != run) {
            if (first)
                write_entry(&ends[2 * number], run, sum);
            else
                buckets[run] = sum;
            first = false;
            run = entry.bucket;
            sum = identity();
        }
        Affine base = bases[entry.base & 0x7fffffffu];
        if (entry.base >> 31) base.y = negated<Base>(base.y);
        sum = sum_of(sum, base);
    }
    write_entry(&ends[2 * number + (first ? 0 : 1)], run, sum);
}

KERNEL(128) void sum_entries(Point* buckets, Entry* ends, const Entry* entries, u64 len, u32 piece, u32 last) {
    u64 number = thread_number(), start = number * piece;
    if (start >= len) return;
    u64 end = start + piece < len ? start + piece : len;
    if (!last) ends[2 * number].bucket = ends[2 * number + 1].bucket = NO_BUCKET;
    u32 run = NO_BUCKET;
    bool first = true;
    Point sum = identity();
    NO_UNROLL for (u64 index = start; index < end; index++) {
        u32 bucket = entries[index].bucket;
        if (bucket == NO_BUCKET) continue;
        if (bucket != run && run != NO_BUCKET) {
            if (first && !last)
                write_entry(&ends[2 * number], run, sum);
            else
                buckets[run] = sum;
            first = false;
            sum = identity();
        }
        run = bucket;
        sum = sum_of(sum, entries[index].point);
    }
    if (run == NO_BUCKET) return;
    if (last)
        buckets[run] = sum;
    else
        write_entry(&ends[2 * number + (first ? 0 : 1)], run, sum);
}

// A thread weighs `piece` buckets of a window by their digits: sum of (base + i + 1) bucket_i over them.
KERNEL(128) void weigh_buckets(Entry* out, const Point* buckets, u64 pieces, u64 of_window, u32 piece, u32 window_buckets) {
    u64 number = thread_number();
    if (number >= pieces) return;
    u64 window = number / of_window;
    u32 base = (u32)(number % of_window) * piece;
    u32 end = base + piece < window_buckets ? base + piece : window_buckets;
    Point running = identity(), sum = identity();
    NO_UNROLL for (u32 index = end; index > base; index--) {
        running = sum_of(running, buckets[window * window_buckets + index - 1]);
        sum = sum_of(sum, running);
    }
    Point multiple = identity();
    NO_UNROLL for (int bit = 31; bit >= 0; bit--) {
        multiple = doubled(multiple);
        if ((base >> bit) & 1) multiple = sum_of(multiple, running);
    }
    write_entry(&out[number], (u32)window, sum_of(sum, multiple));
}
