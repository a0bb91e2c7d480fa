//! Values whose scales are tied: union-find with ratios.

/// Classes of values; within one, every scale is a fixed multiple of every other.
pub(super) struct Classes {
    /// Each value's parent, and the value's scale in units of the parent's.
    parents: Vec<(usize, f64)>,
    /// Scales that are given, at roots.
    fixed: Vec<Option<f64>>,
}

impl Classes {
    /// Every value on its own.
    pub(super) fn new(values: usize) -> Self {
        Self { parents: (0..values).map(|value| (value, 1.0)).collect(), fixed: vec![None; values] }
    }

    /// The root of a value's class, and the value's scale in units of the root's.
    pub(super) fn root(&self, value: usize) -> (usize, f64) {
        let (mut at, mut ratio) = (value, 1.0);
        while self.parents[at].0 != at {
            ratio *= self.parents[at].1;
            at = self.parents[at].0;
        }
        (at, ratio)
    }

    /// Gives the value's class its scale.
    pub(super) fn fix(&mut self, value: usize, scale: f64) {
        let (root, ratio) = self.root(value);
        self.fixed[root] = Some(scale / ratio);
    }

    /// The scale that the value's class was given, in the root's units.
    pub(super) fn fixed(&self, root: usize) -> Option<f64> {
        self.fixed[root]
    }

    /// Joins the class of `value`: its scale is `ratio` times that of `other`. A value that nothing is tied to yet always
    /// can; otherwise false, and nothing happens, if this contradicts earlier ties or joins a given scale to free ones.
    pub(super) fn tie(&mut self, (value, fresh): (usize, bool), ratio: f64, other: usize) -> bool {
        let ((root, of_value), (target, of_other)) = (self.root(value), self.root(other));
        // scale(value) = of_value * scale(root) = ratio * of_other * scale(target).
        let step = ratio * of_other / of_value;
        if root == target {
            return (step - 1.0).abs() < 1e-9;
        }
        if !fresh && self.fixed[root].is_some() != self.fixed[target].is_some() {
            return false;
        }
        let given = (self.fixed[root], self.fixed[target]);
        if let (Some(own), Some(others)) = given
            && (step * others / own - 1.0).abs() > 1e-9
        {
            return false;
        }
        self.parents[root] = (target, step);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_multiply_along_ties_and_contradictions_are_refused() {
        let mut classes = Classes::new(6);
        assert!(classes.tie((1, true), 0.25, 0) && classes.tie((2, true), 2.0, 1));
        assert!(classes.tie((3, true), 1.0, 4) && classes.tie((4, false), 3.0, 2));
        let scale = |value| classes.root(value).1;
        let root = classes.root(0).0;
        assert!((0..5).all(|value| classes.root(value).0 == root));
        assert_eq!([1, 2, 3, 4].map(|value| scale(value) / scale(0)), [0.25, 0.5, 1.5, 1.5]);
        assert!(classes.tie((3, false), 1.5, 0) && !classes.tie((3, false), 1.0, 0));
        classes.fix(5, 1.0);
        assert!(!classes.tie((0, false), 1.0, 5));
        assert_eq!(classes.fixed(5), Some(1.0));
    }
}
