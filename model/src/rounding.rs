//! The rounding rule of requantisation, written once: interpreter, quantiser, interval analysis and circuits
//! all call [`requantise`].

/// `floor((accumulator + 2^(shift - 1)) / 2^shift)`: division by `2^shift`, halves rounded towards plus
/// infinity. `shift = 0` is the identity.
///
/// Total: computed in 128 bits, so that no accumulator overflows; from `shift = 65` on every accumulator
/// rounds to zero.
///
/// ```
/// use zkloom_model::rounding::requantise;
/// assert_eq!(requantise(3, 1), 2); // 1.5 goes up
/// assert_eq!(requantise(-3, 1), -1); // -1.5 goes up too
/// ```
#[must_use]
pub fn requantise(accumulator: i64, shift: u32) -> i64 {
    match shift {
        0 => accumulator,
        1..=64 => ((i128::from(accumulator) + (1i128 << (shift - 1))) >> shift) as i64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_on_both_sides_of_zero() {
        let rounded: Vec<i64> = (-6..=6).map(|value| requantise(value, 2)).collect();
        assert_eq!(rounded, [-1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn halves_of_a_larger_shift() {
        assert_eq!(requantise(127, 8), 0);
        assert_eq!(requantise(128, 8), 1);
        assert_eq!(requantise(-128, 8), 0);
        assert_eq!(requantise(-129, 8), -1);
        assert_eq!(requantise(-384, 8), -1);
        assert_eq!(requantise(-385, 8), -2);
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(requantise(i64::MAX, 0), i64::MAX);
        assert_eq!(requantise(i64::MIN, 0), i64::MIN);
        assert_eq!(requantise(i64::MAX, 1), 1 << 62);
        assert_eq!(requantise(i64::MIN, 1), -(1 << 62));
        assert_eq!(requantise(i64::MAX, 63), 1);
        assert_eq!(requantise(i64::MIN, 63), -1);
        assert_eq!(requantise(i64::MIN, 64), 0);
        assert_eq!(requantise(i64::MAX, 64), 0);
        assert_eq!(requantise(i64::MIN, 65), 0);
        assert_eq!(requantise(i64::MAX, u32::MAX), 0);
    }

    #[test]
    fn agrees_with_euclidean_division() {
        for accumulator in -3000i64..3000 {
            for shift in 1..12 {
                let expected = (accumulator + (1 << (shift - 1))).div_euclid(1 << shift);
                assert_eq!(requantise(accumulator, shift), expected, "{accumulator} >> {shift}");
            }
        }
    }
}
