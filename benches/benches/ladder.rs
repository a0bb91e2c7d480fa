//! The ladder of convolutional networks, from a folder that `scripts/ladder.py` filled: NAME.onnx, NAME-calibration.npz and
//! NAME-input.npy for each.
//!
//! `cargo bench -p zkloom-benches --bench ladder -- --models FOLDER [--only NAME,NAME] [--repetitions N] [--record FILE]`

use std::path::{Path, PathBuf};

use zkloom::{CompileOptions, Dataset, Imported, QuantisationOptions};
use zkloom_benches::measure::{Record, Row, measure, print};
use zkloom_benches::{Machine, Result, option};

/// Names of the networks in a folder, smallest file first.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "onnx")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            found.push((std::fs::metadata(&path)?.len(), name.to_owned()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

fn network(folder: &Path, name: &str, repetitions: usize) -> Result<Row> {
    let file = |suffix: &str| -> PathBuf { folder.join(format!("{name}{suffix}")) };
    let calibration = Dataset::load(file("-calibration.npz"))?;
    let imported = Imported::from_file(file(".onnx"))?;
    let quantised = imported.quantise(&calibration, &QuantisationOptions::default())?;
    let compiled = quantised.compile(&CompileOptions::default())?;
    let input = Dataset::load(file("-input.npy"))?;
    let samples = input.samples(&compiled.graph().tensor(compiled.graph().input).shape)?;
    let input = samples.get(0).ok_or("no input")?;
    let (float, integer) = (imported.infer(input)?, quantised.infer(input)?);
    let error = float.iter().zip(&integer.reals).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let largest = float.iter().map(|value| value.abs()).fold(0.0, f32::max);
    let row = measure(name, &compiled, input, repetitions)?;
    println!("{name}: largest error of an output {error:.4}, largest output {largest:.4}");
    Ok(row)
}

fn main() -> Result<()> {
    let Some(folder) = option("--models") else {
        println!("skipped: no --models FOLDER given; scripts/ladder.py FOLDER makes one");
        return Ok(());
    };
    let folder = PathBuf::from(folder);
    let repetitions = option("--repetitions").map_or(Ok(3), |count| count.parse())?;
    let only = option("--only");
    let wanted = |name: &String| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    let mut rows = Vec::new();
    for name in names(&folder)?.into_iter().filter(wanted) {
        let row = network(&folder, &name, repetitions).map_err(|error| format!("{name}: {error}"))?;
        print(std::slice::from_ref(&row));
        rows.push(row);
    }
    if let Some(path) = option("--record") {
        let machine = Machine::here();
        Record { machine, repetitions, statistic: "median", rows }.save(Path::new(&path))?;
    }
    Ok(())
}
