//! Dot products of 16-bit integers with 32-bit sums, four rows at a time: the shape that compilers turn into multiply-add
//! instructions for pairs.

/// Columns that 32-bit sums hold for factors of those magnitudes; nothing if not even a few.
pub(super) fn exact_columns(left: u64, right: u64) -> Option<usize> {
    let product = left.saturating_mul(right).max(1);
    let columns = usize::try_from((i32::MAX as u64) / product).unwrap_or(usize::MAX);
    (columns >= 64).then_some(columns)
}

/// `results[r * patches + p] = sum_k rows[r][k] * patches[p][k]` for matrices of `columns` columns, where sums over
/// `exact` columns fit 32 bits.
pub(super) fn multiply(rows: &[i16], patches: &[i16], (columns, exact): (usize, usize), results: &mut [i64]) {
    let count = patches.len() / columns;
    for (quad, results) in rows.chunks(4 * columns).zip(results.chunks_mut(4 * count)) {
        for (position, patch) in patches.chunks_exact(columns).enumerate() {
            if quad.len() == 4 * columns {
                for (row, dot) in quadruple(quad, patch, exact).into_iter().enumerate() {
                    results[row * count + position] = dot;
                }
            } else {
                for (row, weights) in quad.chunks_exact(columns).enumerate() {
                    results[row * count + position] = single(weights, patch, exact);
                }
            }
        }
    }
}

fn single(row: &[i16], patch: &[i16], exact: usize) -> i64 {
    let chunks = row.chunks(exact).zip(patch.chunks(exact));
    let dots = chunks.map(|(row, patch)| {
        let products = row.iter().zip(patch).map(|(&weight, &value)| i32::from(weight) * i32::from(value));
        i64::from(products.fold(0i32, i32::wrapping_add))
    });
    dots.sum()
}

fn quadruple(rows: &[i16], patch: &[i16], exact: usize) -> [i64; 4] {
    let columns = patch.len();
    let mut sums = [0i64; 4];
    for start in (0..columns).step_by(exact) {
        let end = columns.min(start.saturating_add(exact));
        let row = |index: usize| &rows[index * columns + start..index * columns + end];
        let dots = quadruple_exact([row(0), row(1), row(2), row(3)], &patch[start..end]);
        sums.iter_mut().zip(dots).for_each(|(sum, dot)| *sum += i64::from(dot));
    }
    sums
}

#[inline(never)]
fn quadruple_exact(rows: [&[i16]; 4], patch: &[i16]) -> [i32; 4] {
    let columns = patch.len();
    let [first, second, third, fourth] = rows.map(|row| &row[..columns]);
    let (mut a, mut b, mut c, mut d) = (0i32, 0i32, 0i32, 0i32);
    for (column, &value) in patch.iter().enumerate() {
        let value = i32::from(value);
        a = a.wrapping_add(i32::from(first[column]) * value);
        b = b.wrapping_add(i32::from(second[column]) * value);
        c = c.wrapping_add(i32::from(third[column]) * value);
        d = d.wrapping_add(i32::from(fourth[column]) * value);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_definition_at_every_size_and_at_the_extremes() {
        for (rows, patches, columns) in
            [(1, 1, 1), (4, 3, 64), (5, 2, 67), (9, 4, 200), (3, 1, 31), (8, 2, 5)]
        {
            for extreme in [false, true] {
                let value = |index: usize| {
                    let usual = (index * 37 % 4001) as i16 - 2000;
                    if extreme { [i16::MAX, i16::MIN, i16::MIN][index % 3] } else { usual }
                };
                let left: Vec<i16> =
                    (0..rows * columns).map(|index| (value(index) % 128).max(-128)).collect();
                let right: Vec<i16> = (0..patches * columns).map(|index| value(index * 5 + 1)).collect();
                let exact = exact_columns(128, 1 << 15).expect("some");
                let mut results = vec![0; rows * patches];
                multiply(&left, &right, (columns, exact), &mut results);
                for row in 0..rows {
                    for patch in 0..patches {
                        let pairs = left[row * columns..].iter().zip(&right[patch * columns..]).take(columns);
                        let expected: i64 = pairs.map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
                        assert_eq!(results[row * patches + patch], expected);
                    }
                }
            }
        }
    }

    #[test]
    fn exact_columns_are_the_most_that_fit() {
        assert_eq!(exact_columns(127, 255), Some(66311));
        let products = |columns: u64| 127 * 255 * columns;
        assert!([66311, 66312].map(|columns| i32::try_from(products(columns)).is_ok()) == [true, false]);
        assert_eq!(exact_columns(0, 5), Some(i32::MAX as usize));
        assert_eq!(exact_columns(1 << 15, 1 << 15), None);
    }
}
