//! Search for the cheapest quantisation whose loss is within a bound.
//!
//! Greedy, with the integer network run on the evaluation set at each trial, and what is worth most first: bits and the choice of
//! ranges for all layers, then bits of single layers, the least sensitive first, then the common shift. At the end, whatever is
//! more exact and costs no more is taken: tables that a circuit has room for are free. What a proof costs is asked of the caller.

mod cost;
mod loss;

use std::collections::BTreeMap;

use serde::Serialize;
use thiserror::Error;

pub use cost::{ProvingCost, TableCost};
pub use loss::LossMeasure;
use loss::{Evaluation, Loss};

use super::emit::Emitted;
use super::{BITS, Calibration, Prepared, QuantisationOptions, QuantiseError, Quantised, SHIFTS, check};
use crate::data::{Dataset, Samples};
use crate::float_graph::FloatGraph;
use crate::report;

/// The least shift that is tried.
const LEAST_SHIFT: u32 = 4;

/// What to search for.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOptions {
    /// Where the search starts; policy, corrections and equalisation stay as they are here.
    pub start: QuantisationOptions,
    /// The greatest loss allowed, as [`SearchOptions::measure`] defines it: 0.01 for one sample in a hundred, or one percent. It
    /// holds for the evaluation set; where none of `n` samples is lost, three in `n` may still be lost among others.
    pub max_accuracy_loss: f64,
    /// What counts as loss.
    pub measure: LossMeasure,
    /// The fewest bits of an activation that are tried, within [`BITS`].
    pub least_bits: u32,
    /// Methods for ranges that are tried beside that of the start.
    pub calibrations: Vec<Calibration>,
    /// The most integer networks that are run on the evaluation set, at least one.
    pub trials: usize,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            start: QuantisationOptions::default(),
            max_accuracy_loss: 0.01,
            measure: LossMeasure::Automatic,
            least_bits: *BITS.start(),
            calibrations: vec![Calibration::MinMax, Calibration::MeanSquareError],
            trials: 64,
        }
    }
}

/// How a trial differs from the best network before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Change {
    /// It is the first.
    Start,
    /// All layers have so many bits, and ranges are chosen by that method.
    Bits {
        /// Bits of an activation.
        bits: u32,
        /// How ranges are chosen.
        calibration: Calibration,
    },
    /// Requantisation divides by `2^shift`.
    Shift(u32),
    /// These layers have one bit less each.
    Layers(Vec<String>),
}

/// One network that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// What it changed.
    pub change: Change,
    /// What a proof of it is predicted to cost.
    pub cost: f64,
    /// Its loss; nothing if it was not run, because it costs no less than the best before it.
    pub loss: Option<f64>,
    /// Root mean square error of the outputs over that of the float outputs themselves; nothing if it was not run.
    pub relative_error: Option<f64>,
    /// Whether it became the best.
    pub kept: bool,
}

/// The cheapest network that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// Options that lead to it: [`super::quantise`] with them gives the same network.
    pub options: QuantisationOptions,
    /// The network, with its report over the calibration set.
    pub quantised: Quantised,
    /// What a proof of it is predicted to cost.
    pub cost: f64,
    /// Its loss over the evaluation set.
    pub loss: f64,
    /// All that was tried, in order.
    pub trials: Vec<Trial>,
}

/// Why nothing was found.
#[derive(Debug, Error)]
pub enum SearchError {
    /// An option outside its range.
    #[error("{option} is {found}; {advice}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// The value given.
        found: f64,
        /// What it may be.
        advice: &'static str,
    },
    /// No number of bits keeps the loss small enough.
    #[error(
        "the smallest loss found is {reached}, at {bits} bits; {allowed} is allowed: allow more, or use more and better \
         calibration data"
    )]
    Loss {
        /// The bound given.
        allowed: f64,
        /// The smallest loss of all trials.
        reached: f64,
        /// Bits at which it was reached.
        bits: u32,
    },
    /// Quantisation failed at the start.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
}

/// Searches for the cheapest quantisation of `graph` with ranges from `calibration` whose loss over `evaluation`, or over the
/// calibration set if there is no other, is within the bound. Deterministic.
///
/// # Errors
/// [`SearchError`]: an option outside its range, data that does not fit, no network within the bound.
pub fn search(
    graph: &FloatGraph,
    (calibration, evaluation): (&Dataset, Option<&Dataset>),
    options: &SearchOptions,
    cost: &dyn ProvingCost,
) -> Result<Searched, SearchError> {
    check_options(options)?;
    check(graph, &options.start)?;
    let shape = &graph.values[graph.input.0].shape;
    let samples = calibration.samples(shape).map_err(QuantiseError::from)?;
    let judged = evaluation.unwrap_or(calibration).samples(shape).map_err(QuantiseError::from)?;
    let evaluation = Evaluation::of(graph, &judged, options.measure)?;
    let (prepared, trials) = (BTreeMap::new(), Vec::new());
    let mut search = Search { graph, samples, evaluation, options, cost, prepared, trials };
    let mut best = search.start()?;
    search.bits(&mut best);
    search.layers(&mut best);
    search.shift(&mut best);
    search.refine(&mut best);
    let Candidate { options, emitted, cost, loss } = best;
    let prepared = search.prepared(options.bits)?;
    let report = report::compare(&prepared.graph, &emitted.graph, &emitted.layers, &samples)
        .map_err(SearchError::Quantise)?;
    let quantised = Quantised { graph: emitted.graph, report };
    Ok(Searched { options, quantised, cost, loss: loss.loss, trials: search.trials })
}

fn check_options(options: &SearchOptions) -> Result<(), SearchError> {
    let refuse = |option, found, advice| Err(SearchError::Option { option, found, advice });
    let loss = options.max_accuracy_loss;
    if !(loss.is_finite() && loss >= 0.0) {
        return refuse("max_accuracy_loss", loss, "use a finite number, zero or more");
    }
    if !BITS.contains(&options.least_bits) {
        return refuse("least_bits", f64::from(options.least_bits), "use 4 to 12");
    }
    if options.trials == 0 {
        return refuse("trials", 0.0, "use one or more");
    }
    Ok(())
}

/// A network that was run.
struct Candidate {
    options: QuantisationOptions,
    emitted: Emitted,
    cost: f64,
    loss: Loss,
}

struct Search<'a> {
    graph: &'a FloatGraph,
    samples: Samples<'a>,
    evaluation: Evaluation<'a>,
    options: &'a SearchOptions,
    cost: &'a dyn ProvingCost,
    /// Calibrated networks, by the bits that equalisation reckons with.
    prepared: BTreeMap<u32, Prepared<'a>>,
    trials: Vec<Trial>,
}

impl<'a> Search<'a> {
    fn prepared(&mut self, bits: u32) -> Result<&Prepared<'a>, QuantiseError> {
        if !self.prepared.contains_key(&bits) {
            let options = QuantisationOptions { bits, ..self.options.start.clone() };
            self.prepared.insert(bits, Prepared::of(self.graph, &self.samples, &options)?);
        }
        // It was inserted above.
        self.prepared.get(&bits).ok_or(QuantiseError::NoLayers)
    }

    fn emit(&mut self, options: &QuantisationOptions) -> Result<Emitted, QuantiseError> {
        let samples = self.samples;
        self.prepared(options.bits)?.emit(&samples, options)
    }

    /// Networks that may still be run.
    fn left(&self) -> usize {
        self.options.trials.saturating_sub(self.trials.iter().filter(|trial| trial.loss.is_some()).count())
    }

    fn allows(&self, candidate: &Candidate) -> bool {
        candidate.loss.loss <= self.options.max_accuracy_loss
    }

    /// Makes and runs a network; nothing if no more may be run, if it costs no less than the limit, or if it cannot be made.
    fn tried(&mut self, change: Change, options: QuantisationOptions, limit: f64) -> Option<Candidate> {
        if self.left() == 0 {
            return None;
        }
        let emitted = self.emit(&options).ok()?;
        let cost = self.cost.cost(&emitted.graph);
        let mut trial = Trial { change, cost, loss: None, relative_error: None, kept: false };
        // Not a number counts as dear.
        let cheaper = cost < limit;
        if !cheaper {
            self.trials.push(trial);
            return None;
        }
        let loss = self.evaluation.loss(&emitted.graph);
        (trial.loss, trial.relative_error) = (Some(loss.loss), Some(loss.relative_error));
        self.trials.push(trial);
        Some(Candidate { options, emitted, cost, loss })
    }

    /// Takes the candidate, which was tried last, if it is allowed and cheaper; says whether it is allowed.
    fn keep(&mut self, best: &mut Candidate, candidate: Candidate) -> bool {
        let allowed = self.allows(&candidate);
        if allowed && candidate.cost < best.cost {
            *best = candidate;
            self.mark();
        }
        allowed
    }

    /// Notes that the last trial was kept.
    fn mark(&mut self) {
        self.trials.iter_mut().next_back().into_iter().for_each(|trial| trial.kept = true);
    }

    fn calibrations(&self) -> Vec<Calibration> {
        let mut all = vec![self.options.start.calibration.clone()];
        for calibration in &self.options.calibrations {
            if !all.contains(calibration) {
                all.push(calibration.clone());
            }
        }
        all
    }

    /// The network of the start, or with as many more bits as the bound needs.
    fn start(&mut self) -> Result<Candidate, SearchError> {
        let start = self.options.start.clone();
        // What cannot be quantised at all is an error, not a loss.
        self.emit(&start)?;
        let mut closest: Option<(f64, u32)> = None;
        for bits in start.bits..=*BITS.end() {
            for calibration in self.calibrations() {
                let first = self.trials.is_empty();
                let change = Change::Bits { bits, calibration: calibration.clone() };
                let change = if first { Change::Start } else { change };
                let options = QuantisationOptions { bits, calibration, ..start.clone() };
                let Some(candidate) = self.tried(change, options, f64::INFINITY) else { continue };
                if self.allows(&candidate) {
                    self.mark();
                    return Ok(candidate);
                }
                let loss = candidate.loss.loss;
                closest = closest.filter(|closest| closest.0 <= loss).or(Some((loss, bits)));
            }
        }
        let (reached, bits) = closest.unwrap_or((f64::INFINITY, start.bits));
        Err(SearchError::Loss { allowed: self.options.max_accuracy_loss, reached, bits })
    }

    /// Fewer bits for all layers, until no method for ranges keeps the loss within the bound.
    fn bits(&mut self, best: &mut Candidate) {
        for bits in (self.options.least_bits..=best.options.bits).rev() {
            let mut allowed = bits == best.options.bits;
            for calibration in self.calibrations() {
                let options =
                    QuantisationOptions { bits, calibration: calibration.clone(), ..best.options.clone() };
                if options == best.options {
                    continue;
                }
                let change = Change::Bits { bits, calibration };
                match self.tried(change, options, best.cost) {
                    Some(candidate) => allowed |= self.keep(best, candidate),
                    // Dearer than the best: that says nothing about fewer bits.
                    None => allowed |= self.left() > 0,
                }
            }
            if !allowed {
                break;
            }
        }
    }

    /// Smaller shifts, until the loss leaves the bound; none if the start gives one.
    fn shift(&mut self, best: &mut Candidate) {
        if self.options.start.shift.is_some() {
            return;
        }
        for shift in (LEAST_SHIFT..best.emitted.graph.shift).rev() {
            let options = QuantisationOptions { shift: Some(shift), ..best.options.clone() };
            if let Some(candidate) = self.tried(Change::Shift(shift), options, best.cost)
                && !self.keep(best, candidate)
            {
                break;
            }
        }
    }

    /// One bit less for the least sensitive layers, as many of them as the bound allows; again as long as that helps.
    fn layers(&mut self, best: &mut Candidate) {
        if !self.layers_matter(best) {
            return;
        }
        let order = self.by_sensitivity(best);
        loop {
            let before = best.cost;
            let base = best.options.clone();
            let lowerable: Vec<&String> =
                order.iter().filter(|layer| bits_of(&base, layer) > self.options.least_bits).collect();
            let (mut good, mut bad) = (0, lowerable.len() + 1);
            while bad - good > 1 {
                let count = good.midpoint(bad);
                let layers: Vec<String> = lowerable[..count].iter().map(|&layer| layer.clone()).collect();
                let options = lowered(&base, &layers);
                let candidate = self.tried(Change::Layers(layers), options, f64::INFINITY);
                if candidate.is_some_and(|candidate| self.keep(best, candidate)) {
                    good = count;
                } else {
                    bad = count;
                }
            }
            // A bit is worth its loss only where it saves something.
            if best.cost >= before {
                return;
            }
        }
    }

    /// Whether the fewest bits for all layers would cost less.
    fn layers_matter(&mut self, best: &Candidate) -> bool {
        let mut options = best.options.clone();
        let least = self.options.least_bits;
        for name in requantised(&best.emitted) {
            let bits = bits_of(&options, &name).min(least);
            options.layer_bits.insert(name, bits);
        }
        self.emit(&options).is_ok_and(|emitted| self.cost.cost(&emitted.graph) < best.cost)
    }

    /// More bits, then larger shifts, as long as they cost no more and lower the error.
    fn refine(&mut self, best: &mut Candidate) {
        let bits = best.options.bits + 1..=*BITS.end();
        let more_bits = |bits: u32, best: &Candidate| {
            let calibration = best.options.calibration.clone();
            let options = QuantisationOptions { bits, ..best.options.clone() };
            (Change::Bits { bits, calibration }, options)
        };
        bits.take_while(|&bits| self.exact(best, more_bits(bits, best))).for_each(drop);
        if self.options.start.shift.is_none() {
            let larger = |shift: u32, best: &Candidate| {
                let options = QuantisationOptions { shift: Some(shift), ..best.options.clone() };
                (Change::Shift(shift), options)
            };
            let shifts = best.emitted.graph.shift + 1..=*SHIFTS.end();
            shifts.take_while(|&shift| self.exact(best, larger(shift, best))).for_each(drop);
        }
    }

    /// Takes a network that is more exact than the best and costs no more; says whether it was taken.
    fn exact(&mut self, best: &mut Candidate, (change, options): (Change, QuantisationOptions)) -> bool {
        // The least number above the best's cost.
        let Some(candidate) = self.tried(change, options, best.cost.next_up()) else { return false };
        let better = self.allows(&candidate) && candidate.loss.relative_error < best.loss.relative_error;
        if better {
            *best = candidate;
            self.mark();
        }
        better
    }

    /// Layers in the order of the error that one bit less for each of them alone makes, as far as trials allow.
    fn by_sensitivity(&mut self, best: &Candidate) -> Vec<String> {
        let mut names = requantised(&best.emitted);
        names.retain(|layer| bits_of(&best.options, layer) > self.options.least_bits);
        // A quarter of what is left is for what comes of it.
        names.truncate(self.left() / 4 * 3);
        let mut sensitive = Vec::with_capacity(names.len());
        for name in names {
            let options = lowered(&best.options, std::slice::from_ref(&name));
            let change = Change::Layers(vec![name.clone()]);
            if let Some(candidate) = self.tried(change, options, f64::INFINITY) {
                sensitive.push((candidate.loss.relative_error, name));
            }
        }
        sensitive.sort_by(|left, right| left.0.total_cmp(&right.0));
        sensitive.into_iter().map(|(_, name)| name).collect()
    }
}

/// Names of the layers that make activations by requantisation, each once.
fn requantised(emitted: &Emitted) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for layer in &emitted.layers {
        if layer.requantised.is_some() && !names.contains(&layer.name) {
            names.push(layer.name.clone());
        }
    }
    names
}

fn bits_of(options: &QuantisationOptions, layer: &str) -> u32 {
    options.layer_bits.get(layer).copied().unwrap_or(options.bits)
}

/// One bit less for each of the layers.
fn lowered(options: &QuantisationOptions, layers: &[String]) -> QuantisationOptions {
    let mut lowered = options.clone();
    for layer in layers {
        let bits = bits_of(options, layer).saturating_sub(1).max(*BITS.start());
        lowered.layer_bits.insert(layer.clone(), bits);
    }
    lowered
}
