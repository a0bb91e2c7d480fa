//! `zkloom compile`: from an ONNX network to a circuit.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;
use zkloom::artifact::hex;
use zkloom::teleport::Granularity;
use zkloom::{
    Calibration, CompileOptions, CompileReport, Dataset, ImportOptions, Imported, QuantisationOptions,
    Quantised, RangePolicy, SearchOptions, SearchReport, TeleportOptions, TeleportReport, Visibility,
    WeightVisibility,
};

use super::{check_output, file_bytes};
use crate::console::{Console, Outcome};
use crate::text::{bytes, table};

/// Options of `zkloom compile`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  zkloom compile fixtures/digits-mlp.onnx --calibration fixtures/digits-calibration.npz -o digits.circuit"
)]
pub struct Arguments {
    /// Network and quantisation.
    #[command(flatten)]
    network: Network,
    /// Who sees the input
    #[arg(long, value_enum, default_value = "private")]
    inputs: TensorVisibility,
    /// Who sees the output
    #[arg(long, value_enum, default_value = "public")]
    outputs: TensorVisibility,
    /// Who can recompute the key from the weights
    #[arg(long, value_enum, default_value = "private")]
    weights: ModelVisibility,
    /// Lanes that the rows are spread over; chosen by cost if absent
    #[arg(long, value_name = "N")]
    lanes: Option<u32>,
    /// Columns have 2^N rows; chosen by cost if absent
    #[arg(long, value_name = "N")]
    log_rows: Option<u32>,
    /// Most memory that proving may take, as in 800M or 16G
    #[arg(long, value_name = "BYTES", value_parser = byte_count)]
    max_memory: Option<u64>,
    /// File to write; it holds the weights
    #[arg(short, long, value_name = "CIRCUIT")]
    output: PathBuf,
}

/// A network and how it becomes integers: options that several commands share.
#[derive(Debug, Args)]
pub struct Network {
    /// Trained network, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// Typical inputs that the scales are chosen from (npz, npy or json; with labels the report tells accuracy)
    #[arg(long, value_name = "DATA")]
    calibration: PathBuf,
    /// Sizes of the input, as in 3,224,224, where the file leaves them open; those of the calibration data if absent
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    input_shape: Option<Vec<usize>>,
    /// Take this tensor as the output: one of several, or an inner one; what does not lead to it is left out
    #[arg(long, value_name = "NAME")]
    output_tensor: Option<String>,
    /// Bits of an activation, 4 to 12
    #[arg(long, value_name = "N", default_value_t = 8)]
    bits: u32,
    /// Requantisation divides by 2^N; chosen by the noise of rounding if absent
    #[arg(long, value_name = "N")]
    shift: Option<u32>,
    /// How ranges are taken from the calibration data: min-max, mse, or a percentage of the values, as in 99.9
    #[arg(long, value_name = "METHOD", default_value = "min-max", value_parser = range_method)]
    ranges: Calibration,
    /// Cut values beyond the calibrated ranges off (the default)
    #[arg(long, conflicts_with = "strict")]
    saturate: bool,
    /// Refuse inputs that lead beyond the calibrated ranges: shorter tables
    #[arg(long)]
    strict: bool,
    /// Leave biases as they are instead of correcting the mean error of rounded weights
    #[arg(long)]
    no_bias_correction: bool,
    /// Leave the channels between convolutions as they are instead of equalising their ranges
    #[arg(long)]
    no_equalisation: bool,
    /// Change the scale of hidden values first, exactly: channels are balanced through residual sums, pools and concatenations
    #[arg(long)]
    teleport: bool,
    /// Search for the bits of each layer, the shift and the ranges with the cheapest proof at which the loss stays within F: the
    /// fraction of samples whose largest output is elsewhere, or the relative error of an output without classes
    #[arg(long, value_name = "F")]
    max_accuracy_loss: Option<f64>,
    /// Samples that the loss is measured on; those of the calibration if absent
    #[arg(long, value_name = "DATA", requires = "max_accuracy_loss")]
    evaluation: Option<PathBuf>,
}

/// A network in floats and in integers, and what was done to it.
pub struct Prepared {
    /// In floats, as read.
    pub imported: Imported,
    /// In floats, of another scale if that was asked for.
    pub scaled: Imported,
    /// In integers.
    pub quantised: Quantised,
    /// The change of scale.
    pub teleported: Option<TeleportReport>,
    /// The search.
    pub searched: Option<SearchReport>,
}

impl Network {
    /// Reads the network and turns it into integers. A search reckons with circuits with these options.
    pub fn prepare(&self, circuit: &CompileOptions, console: &Console) -> anyhow::Result<Prepared> {
        let data = self.data()?;
        let imported = read(&self.model, &self.import(&data.0))?;
        self.transform(imported, &data, circuit, console)
    }

    /// Turns a network into integers as the options say.
    pub fn transform(
        &self,
        imported: Imported,
        (calibration, evaluation): &(Dataset, Option<Dataset>),
        circuit: &CompileOptions,
        console: &Console,
    ) -> anyhow::Result<Prepared> {
        let (scaled, teleported) = if self.teleport {
            console.note("changing the scale");
            let granularity = Granularity::Channel;
            let options = TeleportOptions { granularity, bits: self.bits, ..TeleportOptions::default() };
            let (scaled, report) = imported.teleport(calibration, &options)?;
            (scaled, Some(report))
        } else {
            (imported.clone(), None)
        };
        let Some(max_accuracy_loss) = self.max_accuracy_loss else {
            console.note("quantising");
            let quantised = scaled.quantise(calibration, &self.options())?;
            return Ok(Prepared { imported, scaled, quantised, teleported, searched: None });
        };
        console.note("searching for the cheapest network within the loss");
        let options = SearchOptions { start: self.options(), max_accuracy_loss, ..SearchOptions::default() };
        let (quantised, report) = scaled.search((calibration, evaluation.as_ref()), &options, circuit)?;
        Ok(Prepared { imported, scaled, quantised, teleported, searched: Some(report) })
    }

    /// How a network is read that these data belong to.
    pub fn import(&self, data: &Dataset) -> ImportOptions {
        let input_shape = self.input_shape.clone().unwrap_or_else(|| data.shape.clone());
        ImportOptions { input_shape: Some(input_shape), output: self.output_tensor.clone() }
    }

    /// File of the network.
    pub fn model(&self) -> &Path {
        &self.model
    }

    /// Files of the calibration set and of the evaluation set.
    pub fn data_files(&self) -> (&Path, Option<&Path>) {
        (&self.calibration, self.evaluation.as_deref())
    }

    /// Reads the calibration set and the evaluation set.
    pub fn data(&self) -> anyhow::Result<(Dataset, Option<Dataset>)> {
        let load = |path: &PathBuf| Dataset::load(path).map_err(zkloom::Error::from);
        Ok((load(&self.calibration)?, self.evaluation.as_ref().map(load).transpose()?))
    }

    /// Whether anything is done to a network beside turning it into integers.
    pub fn has_passes(&self) -> bool {
        self.teleport || self.max_accuracy_loss.is_some()
    }

    /// Options of a quantisation, without a search.
    pub fn options(&self) -> QuantisationOptions {
        QuantisationOptions {
            bits: self.bits,
            shift: self.shift,
            calibration: self.ranges.clone(),
            range: if self.strict { RangePolicy::Strict } else { RangePolicy::Saturate },
            bias_correction: !self.no_bias_correction,
            equalisation: !self.no_equalisation,
            ..QuantisationOptions::default()
        }
    }
}

/// Reads a network.
pub fn read(model: &Path, options: &ImportOptions) -> anyhow::Result<Imported> {
    Imported::from_file_with(model, options).with_context(|| format!("model {}", model.display()))
}

/// A method of `--ranges`.
fn range_method(text: &str) -> Result<Calibration, String> {
    match text {
        "min-max" => Ok(Calibration::MinMax),
        "mse" => Ok(Calibration::MeanSquareError),
        other => match other.trim_end_matches('%').parse::<f64>() {
            Ok(percent) if percent > 50.0 && percent <= 100.0 => Ok(Calibration::Percentile(percent)),
            _ => Err("use min-max, mse, or a percentage above 50, as in 99.9".to_owned()),
        },
    }
}

/// Bytes with an optional unit: 1500000, 800M, 16G.
fn byte_count(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err(format!("unknown unit `{unit}`; use K, M or G")),
    };
    let count = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(1 << shift));
    count.filter(|count| *count > 0).ok_or_else(|| "use a number of bytes, as in 800M or 16G".to_owned())
}

/// Who sees an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TensorVisibility {
    /// Only the prover
    Private,
    /// Everyone: the values are part of the statement
    Public,
    /// Only the prover, and the statement holds a hiding commitment
    Committed,
}

/// Who can recompute the key's commitments to the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelVisibility {
    /// Nobody: the commitments hide
    Private,
    /// Everyone who has the model
    Public,
}

impl From<TensorVisibility> for Visibility {
    fn from(visibility: TensorVisibility) -> Self {
        match visibility {
            TensorVisibility::Private => Self::Private,
            TensorVisibility::Public => Self::Public,
            TensorVisibility::Committed => Self::Committed,
        }
    }
}

impl From<ModelVisibility> for WeightVisibility {
    fn from(visibility: ModelVisibility) -> Self {
        match visibility {
            ModelVisibility::Private => Self::Private,
            ModelVisibility::Public => Self::Public,
        }
    }
}

/// Compiles, writes the circuit and reports.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    check_output(&arguments.output)?;
    let options = CompileOptions {
        inputs: arguments.inputs.into(),
        outputs: arguments.outputs.into(),
        weights: arguments.weights.into(),
        lanes: arguments.lanes,
        log_rows: arguments.log_rows,
        max_memory: arguments.max_memory,
        ..CompileOptions::default()
    };
    let prepared = arguments.network.prepare(&options, console)?;
    let quantised = &prepared.quantised;
    console.note("laying out the circuit");
    let compiled = quantised.compile(&options)?;
    compiled.save(&arguments.output)?;
    let (report, log_size) = (compiled.report(), compiled.srs_log_size());
    let size = file_bytes(&arguments.output);
    let text = format!(
        "{}{}\n\n{}\n\nwrote {} ({}); keys need an SRS of log size {log_size}",
        passes_text(&prepared),
        quantised.report(),
        report_text(&report),
        arguments.output.display(),
        bytes(size)
    );
    let json = json!({
        "circuit": arguments.output, "digest": hex(&compiled.circuit().digest()), "file_bytes": size,
        "quantisation": quantised.report(), "report": report, "srs_log_size": log_size,
        "teleportation": prepared.teleported, "search": prepared.searched,
    });
    Ok(Outcome::success(text, json))
}

/// What was done to the network before it was quantised, a paragraph each.
fn passes_text(prepared: &Prepared) -> String {
    let teleported = prepared.teleported.iter().map(|report| format!("{report}\n\n"));
    let searched = prepared.searched.iter().map(|report| {
        format!(
            "searched {} networks: loss {:.4}, predicted work {:.0} instead of {:.0}; bits {}{}\n\n",
            report.trials.len(),
            report.loss,
            report.work,
            report.work_before,
            report.options.bits,
            match report.options.layer_bits.len() {
                0 => String::new(),
                count => format!(", fewer in {count} layers"),
            },
        )
    });
    teleported.chain(searched).collect()
}

/// A circuit's sizes layer by layer and in total.
pub fn report_text(report: &CompileReport) -> String {
    let interval = |interval: Option<(i64, i64)>| {
        interval.map_or_else(|| "-".to_owned(), |(min, max)| format!("{min}..{max}"))
    };
    let rows: Vec<Vec<String>> = report
        .layers
        .iter()
        .map(|layer| {
            vec![
                layer.name.clone(),
                layer.operator.clone(),
                format!("{:?}", layer.shape),
                layer.rows.to_string(),
                interval(layer.accumulators.map(|found| (found.min, found.max))),
                layer.table_rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string()),
            ]
        })
        .collect();
    let shape = &report.shape;
    format!(
        "{}\narchitecture {}\n2^{} rows ({} in use), lanes {}, table sets {} ({} table rows), shift {}, weights {}, linear claims {}\n\
         predicted: proof {}, proving memory {}",
        table(&["layer", "operator", "shape", "rows", "accumulators", "table rows"], &rows),
        report.architecture,
        shape.log_rows,
        report.rows_in_use,
        shape.lanes,
        shape.table_sets,
        report.table_rows,
        report.shift,
        shape.weights,
        report.claims,
        bytes(report.proof_bytes),
        bytes(report.proving_memory_bytes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_methods() {
        assert_eq!(byte_count("1500"), Ok(1500));
        assert_eq!(byte_count("800M"), Ok(800 << 20));
        assert_eq!(byte_count("2GiB"), Ok(2 << 30));
        for wrong in ["", "0", "M", "12X", "-1", "99999999999999G"] {
            assert!(byte_count(wrong).is_err(), "{wrong}");
        }
        assert_eq!(range_method("mse"), Ok(Calibration::MeanSquareError));
        assert_eq!(range_method("99.9%"), Ok(Calibration::Percentile(99.9)));
        for wrong in ["", "max", "50", "101", "NaN"] {
            assert!(range_method(wrong).is_err(), "{wrong}");
        }
    }
}
