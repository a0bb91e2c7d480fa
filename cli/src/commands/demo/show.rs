//! The demo's report.

use anyhow::Context;
use serde_json::{Value, json};
use zkloom::BoundTensor;

use super::Measured;
use crate::commands::prove::{stages_json, stages_text};
use crate::commands::tensor_json;
use crate::text::{bytes, duration, table};

/// From white to black.
const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
const WIDTH: usize = 8;

/// A digit as a picture, 8 by 8 values from 0 to 1.
fn picture(pixels: &[f32]) -> String {
    let shade = |value: &f32| {
        let step = (value.clamp(0.0, 1.0) * (SHADES.len() - 1) as f32).round() as usize;
        SHADES[step]
    };
    let line = |row: &[f32]| format!("  |{}|", row.iter().map(shade).collect::<String>());
    let frame = format!("  +{}+", "-".repeat(2 * WIDTH));
    let rows = pixels.chunks(WIDTH).map(line).collect::<Vec<_>>().join("\n");
    format!("{frame}\n{rows}\n{frame}")
}

fn output(measured: &Measured) -> Option<&BoundTensor> {
    measured.bound.iter().find(|tensor| tensor.values.is_some())
}

fn logits(measured: &Measured) -> anyhow::Result<String> {
    let values = output(measured).and_then(|tensor| tensor.values.as_ref()).context("no public output")?;
    let rows: Vec<Vec<String>> = values
        .integers
        .iter()
        .zip(&values.reals)
        .enumerate()
        .map(|(digit, (integer, real))| {
            let mark = if digit == measured.class { "<- proven class" } else { "" };
            vec![format!("  {digit}"), integer.to_string(), format!("{real:.3}"), mark.to_owned()]
        })
        .collect();
    Ok(table(&["  digit", "integer", "real", ""], &rows))
}

/// The report for people.
pub fn text(measured: &Measured) -> anyhow::Result<String> {
    let Measured { digit, times, proved, keyed, accuracy, .. } = measured;
    let label = digit.label.map_or_else(String::new, |label| format!(", labelled {label}"));
    let shape = measured.compiled.report().shape;
    let rejected = measured.attempts.iter().filter(|attempt| attempt.rejected()).count();
    let tampering: Vec<String> = measured
        .attempts
        .iter()
        .map(|attempt| match &attempt.rejection {
            Some(reason) => format!("  rejected: {} ({reason})", attempt.what),
            None => format!("  ACCEPTED: {}", attempt.what),
        })
        .collect();
    let stages = stages_text(proved, times.prove);
    let memory = measured.peak_memory.map_or_else(|| "not known on this system".to_owned(), bytes);
    let times = [("compile", times.compile), ("development SRS", times.srs), ("keys", times.keys)]
        .map(|(name, time)| format!("{name} {}", duration(time)))
        .join(", ")
        + &format!(", prove {}, verify {}", duration(times.prove), duration(times.verify));
    Ok([
        format!("digit {} of the test set{label}; the proof shows neither it nor the weights", digit.index),
        picture(&digit.pixels),
        format!("\nthe proof binds the network's output:\n{}", logits(measured)?),
        format!("\n{rejected} of {} deceptions rejected:\n{}", measured.attempts.len(), tampering.join("\n")),
        format!("\n{stages}"),
        format!("\ntimes: {times}"),
        format!(
            "proof: {} ({} with its public values as a file); verification key {}",
            bytes(proved.file().bytes.len() as u64),
            bytes(proved.file().to_bytes().len() as u64),
            bytes(keyed.verifier().to_bytes().len() as u64),
        ),
        format!("circuit: 2^{} rows, {} lanes, {} weights", shape.log_rows, shape.lanes, shape.weights),
        format!("peak memory up to the proof: {memory}; device: {}", proved.device()),
        format!(
            "accuracy over {} digits: {:.2} % in floats, {:.2} % in the integers that are proved",
            measured.samples,
            accuracy.float * 100.0,
            accuracy.integer * 100.0
        ),
    ]
    .join("\n"))
}

/// The report for programs.
pub fn json(measured: &Measured) -> Value {
    let Measured { digit, times, proved, accuracy, .. } = measured;
    let attempts: Vec<Value> = measured
        .attempts
        .iter()
        .map(|attempt| {
            json!({ "what": attempt.what, "rejected": attempt.rejected(), "reason": attempt.rejection })
        })
        .collect();
    json!({
        "insecure_srs": true,
        "digit": { "index": digit.index, "label": digit.label, "pixels": digit.pixels },
        "class": measured.class,
        "tensors": measured.bound.iter().map(tensor_json).collect::<Vec<_>>(),
        "tampering": attempts,
        "seconds": {
            "compile": times.compile.as_secs_f64(), "srs": times.srs.as_secs_f64(), "keys": times.keys.as_secs_f64(),
            "prove": times.prove.as_secs_f64(), "verify": times.verify.as_secs_f64(),
        },
        "stages": stages_json(proved.timings()),
        "proof_bytes": proved.file().bytes.len(),
        "file_bytes": proved.file().to_bytes().len(),
        "verification_key_bytes": measured.keyed.verifier().to_bytes().len(),
        "peak_memory_bytes": measured.peak_memory,
        "device": proved.device(),
        "samples": measured.samples,
        "accuracy": { "float": accuracy.float, "integer": accuracy.integer },
        "quantisation": measured.quantised.report(),
        "circuit": measured.compiled.report(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_eight_framed_lines_from_white_to_black() {
        let mut pixels = vec![0.0; 64];
        (pixels[0], pixels[1], pixels[63]) = (1.0, 0.5, 7.0);
        let lines: Vec<String> = picture(&pixels).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 10);
        assert!(lines[1].starts_with("  |██▒▒  "), "{}", lines[1]);
        assert!(lines[8].ends_with("██|"));
    }
}
