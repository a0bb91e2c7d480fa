//! Domains that hold what calibration saw, and no more.

use rayon::prelude::*;

use super::QuantiseError;
use crate::data::Samples;
use crate::integer_graph::{IntegerGraph, IntegerOp, Interval};
use crate::interval::{channel_intervals, hull};
use crate::rounding::requantise;

/// Part of the range seen by which a domain reaches beyond it at either end.
const MARGIN: i64 = 8;
/// Least margin, in requantised steps.
const LEAST_MARGIN: i64 = 4;

/// Restricts the domain of every requantisation to what the samples reach, widened by an eighth at either end and then to powers
/// of two, `-2^k ..= 2^k - 1`: a circuit with private weights shows domains in no other form, and executor and circuit must refuse
/// the same values. A domain that would then hold all that its accumulators reach stays as it is. The intervals of all tensors
/// become what follows from that.
pub(super) fn restrict(graph: &mut IntegerGraph, samples: &Samples) -> Result<(), QuantiseError> {
    let inputs: Vec<&[f32]> = samples.iter().collect();
    let of_sample = |input: &&[f32]| -> Result<Vec<Interval>, QuantiseError> {
        let values = graph.run(&graph.quantise_input(input)?)?;
        let seen = graph.nodes.iter().map(|node| match &node.op {
            IntegerOp::Activate { input, shift, .. } => {
                let requantised = values[input.0].iter().map(|&value| requantise(value, *shift));
                let zero = Interval { min: 0, max: 0 };
                requantised.fold(zero, |seen, value| seen.hull(Interval { min: value, max: value }))
            }
            _ => Interval { min: 0, max: 0 },
        });
        Ok(seen.collect())
    };
    let mut seen = vec![Interval { min: 0, max: 0 }; graph.nodes.len()];
    for few in inputs.chunks(rayon::current_num_threads().max(4)) {
        let few: Vec<Vec<Interval>> = few.par_iter().map(of_sample).collect::<Result<_, _>>()?;
        for sample in few {
            seen.iter_mut().zip(sample).for_each(|(seen, sample)| *seen = seen.hull(sample));
        }
    }
    for (index, seen) in seen.into_iter().enumerate() {
        if let IntegerOp::Activate { domain, .. } = &mut graph.nodes[index].op {
            let margin = ((seen.max - seen.min) / MARGIN).max(LEAST_MARGIN);
            let wide = Interval { min: seen.min - margin, max: seen.max + margin };
            let wide = wide.widened();
            if !(wide.contains(domain.min) && wide.contains(domain.max)) {
                *domain = wide;
            }
        }
        let node = &graph.nodes[index];
        let interval = hull(&channel_intervals(node, &graph.tensors)?);
        let output = node.output.0;
        graph.tensors[output].interval = interval;
    }
    Ok(())
}
