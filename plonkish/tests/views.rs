//! A view's value at a point is the sum of its cells, for views of every form.

use zkloom_plonkish::field::from_integer;
use zkloom_plonkish::{Assignment, Axis, Fr, Monomial, Segment, Variable, View};

/// A deterministic sequence of integers.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: u64) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound) as u32
    }

    fn monomial(&mut self) -> Monomial {
        let mut product = Monomial::one();
        for _ in 0..self.below(3) {
            let exponent = self.below(4);
            let variable = match self.below(4) {
                0 => Variable::Fold {},
                1 => Variable::Public {},
                _ => Variable::Role { index: self.below(2) },
            };
            product = product.times(&Monomial::power(variable, exponent));
        }
        product
    }

    fn axis(&mut self) -> Axis {
        let segment = |s: &mut Self| Segment {
            start: s.below(9),
            count: s.below(5),
            step: s.below(4),
            ratio: s.monomial(),
            scale: s.monomial(),
        };
        Axis { segments: (0..=self.below(3)).map(|_| segment(self)).collect() }
    }

    fn view(&mut self) -> View {
        let coefficient = i64::from(self.below(21)) - 10;
        let (column, offset, scale) = (0, self.below(50), self.monomial());
        let axes = (0..self.below(4)).map(|_| self.axis()).collect();
        View { column, offset, coefficient, scale, axes }
    }
}

fn power(base: Fr, exponent: u64) -> Fr {
    (0..exponent).fold(Fr::from(1_u64), |product, _| product * base)
}

fn assignment() -> Assignment {
    Assignment { roles: vec![Fr::from(3), Fr::from(1_u64)], fold: Fr::from(101), public: -Fr::from(7) }
}

#[test]
fn values_are_sums_of_cells() {
    let mut sequence = Sequence(5);
    let assignment = assignment();
    let mut nonzero = 0;
    for _ in 0..300 {
        let view = sequence.view();
        // One point makes geometric ratios one: the second role's challenge is one too.
        for z in [Fr::from(1_u64), Fr::from(12345), -Fr::from(2)] {
            let cell = |c: &zkloom_plonkish::view::ViewCell| {
                c.monomial.value(&assignment).unwrap() * power(z, c.row)
            };
            let sum: Fr = view.cells().iter().map(cell).sum();
            let value = view.at(z, &assignment).unwrap();
            assert_eq!(value, from_integer(view.coefficient) * sum, "{view:?}");
            nonzero += usize::from(value != Fr::from(0_u64));
        }
    }
    assert!(nonzero > 300);
}

#[test]
fn rows_size_and_reach_are_those_of_the_cells() {
    let mut sequence = Sequence(9);
    for _ in 0..300 {
        let view = sequence.view();
        let rows: Vec<u64> = view.cells().iter().map(|cell| cell.row).collect();
        assert_eq!(view.rows(), rows);
        assert_eq!(view.size(), rows.len() as u64);
        assert_eq!(view.reach(), rows.into_iter().max(), "{view:?}");
    }
}
