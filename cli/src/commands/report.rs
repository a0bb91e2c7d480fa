//! `zkloom report`: what a network costs and what it keeps of its accuracy, as a page for people.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Arg, Args, value_parser};
use serde_json::json;
use zkloom::report::{Data, MeasureOptions, NetworkReport, Report, Subject, measure};
use zkloom::{CompileOptions, Compiled, Dataset, ImportOptions, Imported, SparsityReport, files};

use super::compile::{Network, Prepared, read};
use super::optimise::Pruning;
use super::{check_output, file_bytes};
use crate::args::Device;
use crate::console::{Console, Outcome};
use crate::exit::Failure;
use crate::text::{bytes, table};

/// Options of `zkloom report`.
#[derive(Debug, Args)]
#[command(
    after_help = "With a pass (pruning, --teleport, --max-accuracy-loss) or --against, the report has two networks side by side: the given one \
                  as it is, and the other one after the passes.\n\n\
                  Example:\n  zkloom report fixtures/digits-cnn.onnx --calibration fixtures/digits-cnn-calibration.npz \\\n      \
                  --evaluation fixtures/digits-cnn-test.npz --channels 0.25 --max-accuracy-loss 0.01 --prove -o report.html",
    mut_arg("evaluation", evaluation)
)]
pub struct Arguments {
    /// Network and quantisation.
    #[command(flatten)]
    network: Network,
    /// What to prune.
    #[command(flatten)]
    pruning: Pruning,
    /// A second network, for the other side of the report
    #[arg(long, value_name = "OTHER.onnx")]
    against: Option<PathBuf>,
    /// Make keys and proofs, and report their times, sizes and memory; they are thrown away
    #[arg(long)]
    prove: bool,
    /// Which sample of the evaluation set is proved, from 0
    #[arg(long, value_name = "I", default_value_t = 0, requires = "prove")]
    index: usize,
    /// Proofs that are timed; medians count
    #[arg(long, value_name = "N", default_value_t = 3, requires = "prove", value_parser = value_parser!(u16).range(1..))]
    repetitions: u16,
    /// File to write, .html or .md; may be given twice
    #[arg(short, long, value_name = "REPORT", required = true)]
    output: Vec<PathBuf>,
    /// Device.
    #[command(flatten)]
    device: Device,
}

/// Here `--evaluation` is of use without a search too.
fn evaluation(_: Arg) -> Arg {
    Arg::new("evaluation").long("evaluation").value_name("DATA").value_parser(value_parser!(PathBuf)).help(
        "Samples that accuracy is measured on, and the loss of a search; those of the calibration if absent",
    )
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    Markdown,
}

impl Format {
    fn of(path: &Path) -> Result<Self, Failure> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "html" | "htm" => Ok(Self::Html),
            "md" | "markdown" => Ok(Self::Markdown),
            _ => Err(Failure::option(format!("{}: a report ends in .html or .md", path.display()))),
        }
    }
}

/// Where a network of the report comes from, and what is done to it.
struct Source<'a> {
    label: &'a str,
    file: &'a Path,
    network: Imported,
    passes: bool,
}

/// Gathers, measures if asked, and writes the report.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let outputs = outputs(&arguments.output)?;
    let data = arguments.network.data()?;
    let first = read(arguments.network.model(), &arguments.network.import(&data.0))?;
    let mut networks = Vec::new();
    for source in sources(arguments, &first)? {
        console.note(&format!("{}: {}", source.label, source.file.display()));
        let subject = arguments.subject(source, &data, console)?;
        networks.push(arguments.network_report(&subject, &first, &data, console)?);
    }
    let (calibration, evaluation) = arguments.network.data_files();
    let name = |path: &Path| path.display().to_string();
    let report = Report::new(networks, name(calibration), name(evaluation.unwrap_or(calibration)));
    for (path, format) in &outputs {
        let content = if *format == Format::Html { report.html() } else { report.markdown() };
        files::write_atomic(path, content.as_bytes(), false)?;
    }
    let totals = report.totals();
    let heading: Vec<&str> = totals.heading.iter().map(String::as_str).collect();
    let wrote: Vec<String> = outputs
        .iter()
        .map(|(path, _)| format!("wrote {} ({})", path.display(), bytes(file_bytes(path))))
        .collect();
    let text = format!("{}\n\n{}", table(&heading, &totals.rows), wrote.join("\n"));
    let mut json = json!(report);
    json["outputs"] = json!(arguments.output);
    Ok(Outcome::success(text, json))
}

/// The files to write, each checked before any work is done.
fn outputs(paths: &[PathBuf]) -> anyhow::Result<Vec<(&Path, Format)>> {
    let mut outputs: Vec<(&Path, Format)> = Vec::new();
    for path in paths {
        check_output(path)?;
        if outputs.iter().any(|(other, _)| other == path) {
            return Err(Failure::option(format!("{} is given twice", path.display())).into());
        }
        outputs.push((path, Format::of(path)?));
    }
    Ok(outputs)
}

/// The one network, or the one before and the one after.
fn sources<'a>(arguments: &'a Arguments, first: &Imported) -> anyhow::Result<Vec<Source<'a>>> {
    let passes = arguments.network.has_passes() || arguments.pruning.options().is_some();
    let file = arguments.network.model();
    let source = |label, passes| Source { label, file, network: first.clone(), passes };
    match &arguments.against {
        None if !passes => Ok(vec![source("network", false)]),
        None => Ok(vec![source("before", false), source("after", true)]),
        Some(other) => {
            let network = read(other, &ImportOptions::default())?;
            let shape = |network: &Imported| network.graph().values[network.graph().input.0].shape.clone();
            if shape(&network) != shape(first) {
                let message = format!(
                    "{} takes inputs of shape {:?}, {} of shape {:?}; a report compares networks for the same data",
                    file.display(),
                    shape(first),
                    other.display(),
                    shape(&network)
                );
                return Err(Failure::option(message).into());
            }
            Ok(vec![source("before", false), Source { label: "after", file: other, network, passes }])
        }
    }
}

impl Arguments {
    /// Takes a network to a circuit.
    fn subject(
        &self,
        source: Source<'_>,
        data: &(Dataset, Option<Dataset>),
        console: &Console,
    ) -> anyhow::Result<Subject> {
        let circuit = CompileOptions::default();
        let Source { label, file, network: given, passes } = source;
        let mut network = given.clone();
        let mut sparsification: Option<SparsityReport> = None;
        if let Some(options) = self.pruning.options().filter(|_| passes) {
            console.note("pruning");
            let (pruned, report) = network.sparsify(&data.0, &options)?;
            (network, sparsification) = (pruned, Some(report));
        }
        let prepared = if passes {
            self.network.transform(network, data, &circuit, console)?
        } else {
            let quantised = network.quantise(&data.0, &self.network.options())?;
            Prepared {
                scaled: network.clone(),
                imported: network,
                quantised,
                teleported: None,
                searched: None,
            }
        };
        let compiled = prepared.quantised.compile(&circuit)?;
        Ok(Subject {
            label: label.to_owned(),
            file: file.display().to_string(),
            given,
            network: prepared.scaled,
            quantised: prepared.quantised,
            compiled,
            sparsification,
            teleportation: prepared.teleported,
            search: prepared.searched,
        })
    }

    /// Gathers what is known of a network; measures it if asked.
    fn network_report(
        &self,
        subject: &Subject,
        first: &Imported,
        (calibration, evaluation): &(Dataset, Option<Dataset>),
        console: &Console,
    ) -> anyhow::Result<NetworkReport> {
        let evaluation = evaluation.as_ref().unwrap_or(calibration);
        console.note("comparing floats and integers");
        let data = Data { calibration, evaluation };
        let report = NetworkReport::new(subject, first, data).context("evaluation")?;
        let compiled = &subject.compiled;
        let report = report.with_prediction(compiled.estimate(&self.device.backend, self.device.threads())?);
        if !self.prove {
            return Ok(report);
        }
        let input = sample(compiled, evaluation, self.index)?;
        let options = MeasureOptions {
            backend: self.device.backend.clone(),
            threads: self.device.threads(),
            repetitions: usize::from(self.repetitions),
        };
        let measured = measure(compiled, &input, &options, &mut |what| console.note(what));
        Ok(report.with_measurement(
            measured.with_context(|| format!("sample {} of the evaluation set", self.index))?,
        ))
    }
}

/// The sample that is proved.
fn sample(compiled: &Compiled, evaluation: &Dataset, index: usize) -> anyhow::Result<Vec<f32>> {
    let graph = compiled.graph();
    let samples = evaluation.samples(&graph.tensor(graph.input).shape).map_err(zkloom::Error::from)?;
    let count = samples.count();
    let missing = || {
        Failure::option(format!(
            "--index {index}: there are {count} samples, 0 to {}",
            count.saturating_sub(1)
        ))
    };
    Ok(samples.get(index).ok_or_else(missing)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_go_by_the_ending() {
        let of = |name: &str| Format::of(Path::new(name)).ok();
        assert_eq!(of("a/report.HTML"), Some(Format::Html));
        assert_eq!(of("report.md"), Some(Format::Markdown));
        assert!([of("report"), of("report.pdf"), of(".html")].iter().all(Option::is_none));
    }
}
