// Points of G1 as (x, y, zz, zzz) with x / zz and y / zzz the affine coordinates and zz^3 = zzz^2; zz = 0 is the identity. An
// affine identity is (0, 0), which is no point of the curve.
//
// Sums of runs: entries are sorted by bucket; an invocation adds up a piece of them. A run that touches neither end of its piece
// is the whole bucket, which is written. The first and the last run go to the next level's entries, with their bucket, where
// pieces are made of these. The last level has one piece, all of whose runs are whole.

struct Affine {
    x: Element,
    y: Element,
}

struct Point {
    x: Element,
    y: Element,
    zz: Element,
    zzz: Element,
}

// Bucket of an entry that is not there.
const NONE = 0xffffffffu;

fn point_identity() -> Point {
    return Point(ZERO, ZERO, ZERO, ZERO);
}

fn double(a: Point) -> Point {
    let u = fq_add(a.y, a.y);
    let v = fq_mul(u, u);
    let w = fq_mul(u, v);
    let s = fq_mul(a.x, v);
    let square = fq_mul(a.x, a.x);
    let m = fq_add(fq_add(square, square), square);
    let x = fq_sub(fq_mul(m, m), fq_add(s, s));
    let y = fq_sub(fq_mul(m, fq_sub(s, x)), fq_mul(w, a.y));
    return Point(x, y, fq_mul(v, a.zz), fq_mul(w, a.zzz));
}

fn add(a: Point, b: Point) -> Point {
    if (is_zero(a.zz)) {
        return b;
    }
    if (is_zero(b.zz)) {
        return a;
    }
    let u = fq_mul(a.x, b.zz);
    let s = fq_mul(a.y, b.zzz);
    let p = fq_sub(fq_mul(b.x, a.zz), u);
    let r = fq_sub(fq_mul(b.y, a.zzz), s);
    if (is_zero(p)) {
        if (is_zero(r)) {
            return double(a);
        }
        return point_identity();
    }
    let pp = fq_mul(p, p);
    let ppp = fq_mul(p, pp);
    let q = fq_mul(u, pp);
    let x = fq_sub(fq_sub(fq_mul(r, r), ppp), fq_add(q, q));
    let y = fq_sub(fq_mul(r, fq_sub(q, x)), fq_mul(s, ppp));
    return Point(x, y, fq_mul(fq_mul(a.zz, b.zz), pp), fq_mul(fq_mul(a.zzz, b.zzz), ppp));
}

fn add_affine(a: Point, b: Affine) -> Point {
    if (is_zero(b.x) && is_zero(b.y)) {
        return a;
    }
    if (is_zero(a.zz)) {
        return Point(b.x, b.y, FQ_ONE, FQ_ONE);
    }
    let p = fq_sub(fq_mul(b.x, a.zz), a.x);
    let r = fq_sub(fq_mul(b.y, a.zzz), a.y);
    if (is_zero(p)) {
        if (is_zero(r)) {
            return double(a);
        }
        return point_identity();
    }
    let pp = fq_mul(p, p);
    let ppp = fq_mul(p, pp);
    let q = fq_mul(a.x, pp);
    let x = fq_sub(fq_sub(fq_mul(r, r), ppp), fq_add(q, q));
    let y = fq_sub(fq_mul(r, fq_sub(q, x)), fq_mul(a.y, ppp));
    return Point(x, y, fq_mul(a.zz, pp), fq_mul(a.zzz, ppp));
}

struct SumParameters {
    // Most entries that there can be, and entries of a piece.
    len: u32,
    piece: u32,
    // Whether this is the last level.
    last: u32,
    // Where the number of entries stands among `counts`.
    total: u32,
}

@group(0) @binding(0) var<uniform> parameters: SumParameters;
@group(0) @binding(1) var<storage, read_write> buckets: array<Point>;
// The next level's entries: two for each piece.
@group(0) @binding(2) var<storage, read_write> next_keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> next_points: array<Point>;

// The first level's entries.
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> sorted: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read> bases: array<Affine>;

@compute @workgroup_size(64)
fn sum_sorted(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let thread = invocation(group, groups, local);
    let first = thread * parameters.piece;
    if (first >= parameters.len) {
        return;
    }
    let end = min(first + parameters.piece, counts[parameters.total]);
    var key = NONE;
    var sum = point_identity();
    var whole = parameters.last != 0u;
    var first_key = NONE;
    for (var index = first; index < end; index += 1u) {
        let entry = sorted[index];
        if (entry.x != key) {
            if (whole) {
                if (key != NONE) {
                    buckets[key] = sum;
                }
            } else if (key != NONE) {
                first_key = key;
                next_points[2u * thread] = sum;
                whole = true;
            }
            key = entry.x;
            sum = point_identity();
        }
        var base = bases[entry.y & 0x7fffffffu];
        if ((entry.y >> 31u) != 0u) {
            base.y = fq_sub(ZERO, base.y);
        }
        sum = add_affine(sum, base);
    }
    finish(thread, key, first_key, sum);
}

// Hands on the last run, or writes it at the last level.
fn finish(thread: u32, key: u32, first_key: u32, sum: Point) {
    if (parameters.last != 0u) {
        if (key != NONE) {
            buckets[key] = sum;
        }
        return;
    }
    if (first_key == NONE) {
        next_keys[2u * thread] = key;
        next_keys[2u * thread + 1u] = NONE;
        next_points[2u * thread] = sum;
    } else {
        next_keys[2u * thread] = first_key;
        next_keys[2u * thread + 1u] = key;
        next_points[2u * thread + 1u] = sum;
    }
}

// Further levels' entries.
@group(0) @binding(4) var<storage, read> keys: array<u32>;
@group(0) @binding(5) var<storage, read> points: array<Point>;

@compute @workgroup_size(64)
fn sum_points(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let thread = invocation(group, groups, local);
    let first = thread * parameters.piece;
    if (first >= parameters.len) {
        return;
    }
    let end = min(first + parameters.piece, parameters.len);
    var key = NONE;
    var sum = point_identity();
    var whole = parameters.last != 0u;
    var first_key = NONE;
    for (var index = first; index < end; index += 1u) {
        let entry = keys[index];
        if (entry == NONE) {
            continue;
        }
        if (entry != key) {
            if (whole) {
                if (key != NONE) {
                    buckets[key] = sum;
                }
            } else if (key != NONE) {
                first_key = key;
                next_points[2u * thread] = sum;
                whole = true;
            }
            key = entry;
            sum = point_identity();
        }
        sum = add(sum, points[index]);
    }
    finish(thread, key, first_key, sum);
}

// ---- weighted sums of buckets: bucket k of a window counts k + 1 times ----

struct WeighParameters {
    // Pieces of all windows, pieces of a window, buckets of a piece and of a window.
    pieces: u32,
    pieces_of_window: u32,
    piece: u32,
    buckets: u32,
}

@group(0) @binding(0) var<uniform> weigh_parameters: WeighParameters;
@group(0) @binding(1) var<storage, read_write> weighed_keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> weighed_points: array<Point>;
@group(0) @binding(3) var<storage, read> unweighed: array<Point>;

// weighed_points[piece] = the weighted sum of a piece's buckets, weighed_keys[piece] = its window
@compute @workgroup_size(64)
fn weigh_buckets(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = invocation(group, groups, local);
    if (number >= weigh_parameters.pieces) {
        return;
    }
    let window = number / weigh_parameters.pieces_of_window;
    let first = (number % weigh_parameters.pieces_of_window) * weigh_parameters.piece;
    let end = min(first + weigh_parameters.piece, weigh_parameters.buckets);
    // Running sums from the last bucket down give the sum of (k - first + 1) bucket_k and the plain sum, which then counts
    // `first` times more, by doubling and adding. All additions are one call, since shader compilers write out each.
    var plain = point_identity();
    var weighted = point_identity();
    var multiple = point_identity();
    let running = 2u * (end - first);
    let steps = running + 2u * (32u - countLeadingZeros(first)) + 1u;
    for (var step = 0u; step < steps; step += 1u) {
        let odd = (step & 1u) != 0u;
        var a: Point;
        var b: Point;
        if (step < running) {
            a = plain;
            b = unweighed[window * weigh_parameters.buckets + end - 1u - step / 2u];
            if (odd) {
                a = weighted;
                b = plain;
            }
        } else if (step + 1u < steps) {
            a = multiple;
            b = multiple;
            if (odd) {
                let bit = (steps - 2u - step) / 2u;
                if (((first >> bit) & 1u) == 0u) {
                    continue;
                }
                b = plain;
            }
        } else {
            a = weighted;
            b = multiple;
        }
        let sum = add(a, b);
        if (step >= running && step + 1u < steps) {
            multiple = sum;
        } else if (odd || step >= running) {
            weighted = sum;
        } else {
            plain = sum;
        }
    }
    weighed_keys[number] = window;
    weighed_points[number] = weighted;
}
