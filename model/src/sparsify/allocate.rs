//! How much each layer gives up, for the least error at a given saving.

/// Sparsities at which errors are measured, besides none.
pub(super) const LEVELS: [f64; 9] = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];

/// What a layer saves at a sparsity, and what error that makes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) level: f64,
    pub(super) saving: f64,
    pub(super) error: f64,
}

/// A step of one layer from one level to a higher one.
struct Step {
    layer: usize,
    from: Point,
    to: Point,
}

/// A level for each curve, so that their savings are `wanted` together with the least sum of errors; along the lower convex hull
/// of each curve, the cheapest step first, the last one in part. Curves begin with a point that saves nothing; if all together
/// do not save enough, each gives all it has.
pub(super) fn allocate(curves: &[Vec<Point>], wanted: f64) -> Vec<f64> {
    let mut steps: Vec<Step> = Vec::new();
    for (layer, curve) in curves.iter().enumerate() {
        let hull = hull(curve);
        steps.extend(hull.windows(2).map(|pair| Step { layer, from: pair[0], to: pair[1] }));
    }
    let slope = |step: &Step| (step.to.error - step.from.error) / (step.to.saving - step.from.saving);
    steps.sort_by(|left, right| slope(left).total_cmp(&slope(right)).then(left.layer.cmp(&right.layer)));
    let mut levels = vec![0.0; curves.len()];
    let mut missing = wanted;
    for step in steps {
        let saving = step.to.saving - step.from.saving;
        if missing <= 0.0 {
            break;
        }
        let part = (missing / saving).min(1.0);
        levels[step.layer] = step.from.level + part * (step.to.level - step.from.level);
        missing -= saving;
    }
    levels
}

/// The points of the lower convex hull, by rising saving.
fn hull(curve: &[Point]) -> Vec<Point> {
    let mut hull: Vec<Point> = Vec::new();
    for &point in curve {
        match hull.last_mut() {
            // A higher level for nothing more: where the layer is as sparse already.
            Some(last) if point.saving <= last.saving => {
                if point.error <= last.error {
                    last.level = last.level.max(point.level);
                }
                continue;
            }
            _ => {}
        }
        while let [.., first, middle] = hull.as_slice() {
            let over = (middle.error - first.error) * (point.saving - first.saving)
                >= (point.error - first.error) * (middle.saving - first.saving);
            if !over {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(level, saving, error)| Point { level, saving, error }).collect()
    }

    #[test]
    fn the_cheapest_saving_comes_first() {
        let curves = [
            curve(&[(0.0, 0.0, 0.0), (0.5, 10.0, 1.0), (1.0, 20.0, 9.0)]),
            curve(&[(0.0, 0.0, 0.0), (0.5, 10.0, 2.0), (1.0, 20.0, 4.0)]),
        ];
        assert_eq!(allocate(&curves, 10.0), [0.5, 0.0]);
        assert_eq!(allocate(&curves, 25.0), [0.5, 0.75]);
        assert_eq!(allocate(&curves, 1000.0), [1.0, 1.0]);
        assert_eq!(allocate(&curves, 0.0), [0.0, 0.0]);
        // The hull steps over a point that lies above it.
        let bent = [curve(&[(0.0, 0.0, 0.0), (0.5, 10.0, 8.0), (1.0, 20.0, 9.0)])];
        assert_eq!(allocate(&bent, 10.0), [0.5]);
        assert_eq!(hull(&bent[0]).len(), 2);
    }
}
