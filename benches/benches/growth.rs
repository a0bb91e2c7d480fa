//! How cost grows: the digits network and dense networks 512-W-W-10, by stage. Weights grow with W squared, activations
//! with W; whatever grows with weights shows in the columns of its stage.

use std::path::Path;

use zkloom_benches::measure::{Record, measure, print};
use zkloom_benches::{Machine, Result, dense, digits, option};

const WIDTHS: [usize; 3] = [256, 1024, 2048];
const REPETITIONS: usize = 5;

fn main() -> Result<()> {
    let mut rows = Vec::new();
    let (compiled, calibration) = digits()?;
    let samples = calibration.samples(&compiled.graph().tensor(compiled.graph().input).shape)?;
    let digit = samples.get(0).ok_or("no digit")?;
    rows.push(measure("digits 64-64-32-10", &compiled, digit, REPETITIONS)?);
    for width in WIDTHS {
        let (compiled, input) = dense(&[512, width, width, 10])?;
        rows.push(measure(&format!("dense 512-{width}-{width}-10"), &compiled, &input, REPETITIONS)?);
    }
    print(&rows);
    if let Some(path) = option("--record") {
        let machine = Machine::here();
        Record { machine, repetitions: REPETITIONS, statistic: "median", rows }.save(Path::new(&path))?;
    }
    Ok(())
}
