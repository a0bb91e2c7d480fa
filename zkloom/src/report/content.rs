//! What a report says, section by section.

use std::collections::{HashMap, HashSet};

use zkloom_model::report::Evaluation;
use zkloom_model::sparsify::SparsityReport;
use zkloom_model::teleport::{Extent, Outcome, TeleportReport};

use super::document::{Bar, BarGroup, Block, Document, Plot, Table};
use super::layers::LayerRow;
use super::text::{accuracy, bytes, change, count, decibels, percent, real, seconds};
use super::{NetworkReport, Report, Shares};
use crate::optimise::SearchReport;

/// What stands where there is nothing to tell.
const NONE: &str = "-";

/// The whole report.
pub(super) fn document(report: &Report) -> Document {
    let names: Vec<&str> = report.networks.iter().map(|network| network.circuit.network.as_str()).collect();
    let title = match names.as_slice() {
        [name] => format!("{name}: what a proof costs"),
        [before, after] if before == after => format!("{before}, before and after"),
        names => names.join(" and "),
    };
    let mut blocks = vec![Block::Paragraph(introduction(report)), Block::Table(totals(report))];
    blocks.extend(stages(report));
    blocks.extend(report.networks.iter().flat_map(passes));
    blocks.extend(layers(report));
    blocks.push(Block::Heading("How to read this".to_owned()));
    blocks.push(Block::List(explanations(report)));
    Document { title, blocks }
}

fn introduction(report: &Report) -> String {
    let networks = report.networks.iter().map(|network| match report.networks.len() {
        1 => network.file.clone(),
        _ => format!("{}: {}", network.label, network.file),
    });
    format!(
        "{}. Scales from {}, accuracy over {}. zkloom {}. This page tells zeros and ranges of weights and values, which private weights \
         are to hide: keep it as you keep the network.",
        networks.collect::<Vec<_>>().join("; "),
        report.calibration,
        report.evaluation,
        report.version
    )
}

/// A figure of a network as a number, and how it is written.
type Figure = (f64, String);

/// What the table of totals tells, in order; nothing where a network does not have it.
type Total = (&'static str, fn(&NetworkReport) -> Option<Figure>);

fn whole(value: u64) -> Option<Figure> {
    Some((value as f64, count(value)))
}

fn size(value: u64) -> Option<Figure> {
    Some((value as f64, bytes(value)))
}

fn time(value: f64) -> Option<Figure> {
    Some((value, seconds(value)))
}

fn fraction(value: f64) -> Option<Figure> {
    Some((value, accuracy(value)))
}

const TOTALS: [Total; 31] = [
    ("weights of the float network", |n| whole(n.weights.float as u64)),
    ("zeros among them", |n| Some(zeros(n.weights.float, n.weights.float_zeros))),
    ("weights that the key commits to", |n| whole(n.circuit.shape.weights)),
    ("zeros after rounding", |n| Some(zeros(n.weights.integer, n.weights.integer_zeros))),
    ("bits of an activation", |n| whole(u64::from(n.quantisation.bits))),
    ("shift", |n| whole(u64::from(n.quantisation.shift))),
    ("rows in use", |n| whole(u64::from(n.circuit.rows_in_use))),
    ("rows of a column", |n| {
        Some((f64::from(n.circuit.shape.log_rows), format!("2^{}", n.circuit.shape.log_rows)))
    }),
    ("lanes", |n| whole(u64::from(n.circuit.shape.lanes))),
    ("rows of all tables", |n| whole(n.circuit.table_rows)),
    ("linear claims", |n| whole(n.circuit.claims as u64)),
    ("predicted work", |n| whole(n.circuit.work as u64)),
    ("predicted proving time", |n| n.prediction.as_ref().and_then(|found| time(found.proving_seconds))),
    ("predicted proving memory", |n| size(n.circuit.proving_memory_bytes)),
    ("predicted proof", |n| size(n.circuit.proof_bytes)),
    ("measured: making the keys", |n| n.measurement.as_ref().and_then(|found| time(found.setup_seconds))),
    ("measured: proving", |n| n.measurement.as_ref().and_then(|found| time(found.prove_seconds))),
    ("measured: verification", |n| n.measurement.as_ref().and_then(|found| time(found.verify_seconds))),
    ("measured: peak memory of proving", |n| {
        n.measurement.as_ref().and_then(|found| size(found.peak_memory_bytes?))
    }),
    ("measured: proof", |n| n.measurement.as_ref().and_then(|found| size(found.proof_bytes as u64))),
    ("measured: proving key", |n| {
        n.measurement.as_ref().and_then(|found| size(found.proving_key_bytes as u64))
    }),
    ("measured: verification key", |n| {
        n.measurement.as_ref().and_then(|found| size(found.verification_key_bytes as u64))
    }),
    ("samples evaluated", |n| whole(n.evaluation.samples as u64)),
    ("samples refused", |n| whole(n.evaluation.refused as u64)),
    ("accuracy of the float network", |n| n.evaluation.accuracy.and_then(|found| fraction(found.float))),
    ("accuracy of the integer network", |n| n.evaluation.accuracy.and_then(|found| fraction(found.integer))),
    ("same class as its float network", |n| fraction(n.evaluation.agreement)),
    ("same class as the first float network", |n| fraction(n.against_first.agreement)),
    ("output, signal to noise", |n| Some(ratio(&n.evaluation))),
    ("output, signal to noise against the first", |n| Some(ratio(&n.against_first))),
    ("output, root mean square error", |n| Some((n.evaluation.error, real(n.evaluation.error)))),
];

fn zeros(weights: usize, zeros: usize) -> Figure {
    let part = if weights == 0 { 0.0 } else { zeros as f64 / weights as f64 };
    (zeros as f64, format!("{} ({})", count(zeros as u64), percent(part)))
}

fn ratio(evaluation: &Evaluation) -> Figure {
    (evaluation.signal_to_noise.unwrap_or(f64::INFINITY), decibels(evaluation.signal_to_noise))
}

/// All totals; with two networks, those that compare with the first, and how each changed.
pub(super) fn totals(report: &Report) -> Table {
    let several = report.networks.len() > 1;
    let mut heading = vec![String::new()];
    heading.extend(report.networks.iter().map(|network| network.label.clone()));
    if several {
        heading.push("change".to_owned());
    }
    let mut rows = Vec::new();
    for (name, figure) in TOTALS.iter().filter(|(name, _)| several || !name.contains("first")) {
        let figures: Vec<Option<Figure>> = report.networks.iter().map(figure).collect();
        if figures.iter().all(Option::is_none) {
            continue;
        }
        let text = |figure: &Option<Figure>| figure.as_ref().map_or(NONE.to_owned(), |found| found.1.clone());
        let mut row = vec![(*name).to_owned()];
        row.extend(figures.iter().map(text));
        if several {
            row.push(match figures.as_slice() {
                [Some(before), Some(after)] if before.0.is_finite() && after.0.is_finite() => {
                    changed(name, before, after)
                }
                _ => String::new(),
            });
        }
        rows.push(row);
    }
    Table { heading, rows }
}

/// How a figure changed: fractions and decibels by their difference, everything else by its part.
fn changed(name: &str, before: &Figure, after: &Figure) -> String {
    let difference = after.0 - before.0;
    let fraction = name.starts_with("accuracy") || name.starts_with("same class");
    match (difference == 0.0, fraction) {
        (true, _) => "the same".to_owned(),
        (false, true) => format!("{:+.2} points", 100.0 * difference),
        (false, false) if name.contains("signal to noise") => format!("{difference:+.1} dB"),
        (false, false) if name == "rows of a column" => format!("{difference:+} bits"),
        (false, false) => change(before.0, after.0),
    }
}

fn stages(report: &Report) -> Vec<Block> {
    let measured: Vec<_> =
        report.networks.iter().filter_map(|network| Some((network, network.measurement.as_ref()?))).collect();
    let Some((_, first)) = measured.first() else { return Vec::new() };
    let bar = |value: f64| Some(Bar { from: 0.0, to: value, text: seconds(value) });
    let mut groups = vec![BarGroup {
        label: "network's values".to_owned(),
        bars: measured.iter().map(|m| bar(m.1.witness_seconds)).collect(),
    }];
    for (index, stage) in first.stages.iter().enumerate() {
        let of =
            |found: &super::ProofMeasurement| found.stages.get(index).and_then(|stage| bar(stage.seconds));
        groups
            .push(BarGroup { label: stage.stage.clone(), bars: measured.iter().map(|m| of(m.1)).collect() });
    }
    let (device, repetitions) = (&first.device, first.repetitions);
    vec![
        Block::Heading("Time of a proof by stage".to_owned()),
        Block::Paragraph(format!("Measured on {device}, key resident, medians of {repetitions} proofs.")),
        Block::Plot(Plot {
            title: "Time by stage".to_owned(),
            series: measured.iter().map(|(network, _)| network.label.clone()).collect(),
            groups,
        }),
    ]
}

/// What was done to a network.
fn passes(network: &NetworkReport) -> Vec<Block> {
    let mut items = Vec::new();
    items.extend(network.sparsification.iter().map(pruned));
    items.extend(network.teleportation.iter().map(teleported));
    items.extend(network.search.iter().map(searched));
    if items.is_empty() {
        return Vec::new();
    }
    vec![Block::Heading(format!("What was done to the network {}", network.label)), Block::List(items)]
}

fn pruned(report: &SparsityReport) -> String {
    let channels = report.layers.iter().filter(|layer| layer.rows_after < layer.rows_before).count();
    let removed =
        if channels > 0 { format!(", outputs removed from {channels} layers") } else { String::new() };
    format!(
        "Pruning: {} of all weights are zero or gone{removed}; the output's relative error on the calibration set is {}.",
        percent(report.sparsity()),
        real(report.error)
    )
}

fn teleported(report: &TeleportReport) -> String {
    let scaled = report.groups.iter().filter(|group| group.is_scaled()).count();
    let functions = report.functions.map_or(String::new(), |(before, after)| {
        format!("; arguments of functions {} became {}", extent(before), extent(after))
    });
    let outcome = match &report.outcome {
        Outcome::Applied => format!("; outputs differ by {:.1e} of the largest", report.deviation),
        Outcome::Unchanged => String::new(),
        Outcome::Undone { layer, .. } => format!("; undone, since layer {layer} computed something else"),
    };
    format!("Change of scale: {scaled} of {} groups scaled{functions}{outcome}.", report.groups.len())
}

fn searched(report: &SearchReport) -> String {
    format!(
        "Search over {} networks: loss {}, predicted work {} instead of {}; {} bits{}.",
        report.trials.len(),
        accuracy(report.loss),
        count(report.work as u64),
        count(report.work_before as u64),
        report.options.bits,
        match report.options.layer_bits.len() {
            0 => String::new(),
            layers => format!(", other bits in {layers} layers"),
        }
    )
}

fn extent(extent: Extent) -> String {
    format!("{} to {}", real(f64::from(extent.min)), real(f64::from(extent.max)))
}

/// The layers of all networks under common names: the first network's order, then what only the second has.
fn matched(report: &Report) -> Vec<Vec<Option<&LayerRow>>> {
    // Names may repeat: a layer is known by its name and by how many of that name stood before it.
    let keyed = |network: &NetworkReport| -> Vec<(String, usize)> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let key = |layer: &LayerRow| {
            let times = seen.entry(layer.name.clone()).or_default();
            *times += 1;
            (layer.name.clone(), *times)
        };
        network.layers.iter().map(key).collect()
    };
    let keys: Vec<Vec<(String, usize)>> = report.networks.iter().map(keyed).collect();
    let places: Vec<HashMap<&(String, usize), &LayerRow>> = keys
        .iter()
        .zip(&report.networks)
        .map(|(keys, network)| keys.iter().zip(&network.layers).collect())
        .collect();
    let mut met = HashSet::new();
    let order = keys.iter().flatten().filter(|key| met.insert(*key));
    order.map(|key| places.iter().map(|places| places.get(key).copied()).collect()).collect()
}

/// A column of a table of layers.
type Column = (&'static str, fn(&LayerRow) -> String);

const COST: [Column; 5] = [
    ("elements", |layer| count(layer.elements as u64)),
    ("rows needed", |layer| count(layer.rows_predicted)),
    ("rows", |layer| count(u64::from(layer.rows))),
    ("table rows", |layer| layer.table_rows.map_or(NONE.to_owned(), count)),
    ("weights", |layer| if layer.weights == 0 { NONE.to_owned() } else { count(layer.weights as u64) }),
];

const SHARES: [Column; 3] = [
    ("time, predicted", |layer| percent(layer.shares.predicted_time)),
    ("time, measured", |layer| layer.shares.measured_time.map_or(NONE.to_owned(), percent)),
    ("memory, predicted", |layer| percent(layer.shares.predicted_memory)),
];

const VALUES: [Column; 6] = [
    ("range as read", |layer| layer.range_given.map_or(NONE.to_owned(), extent)),
    ("range", |layer| layer.range.map_or(NONE.to_owned(), extent)),
    ("bits", |layer| layer.bits.map_or(NONE.to_owned(), |bits| bits.to_string())),
    ("signal to noise", |layer| layer.max_error.map_or(NONE.to_owned(), |_| decibels(layer.signal_to_noise))),
    ("cut off", |layer| layer.saturated.map_or(NONE.to_owned(), count)),
    ("error of pruning", |layer| layer.pruning_error.map_or(NONE.to_owned(), percent)),
];

/// A table of layers. Columns that say nothing anywhere are left out; with two networks each column stands twice.
fn layer_table(report: &Report, matched: &[Vec<Option<&LayerRow>>], columns: &[Column]) -> Table {
    let label = |network: &NetworkReport, title: &str| match report.networks.len() {
        1 => title.to_owned(),
        _ => format!("{title}, {}", network.label),
    };
    let mut table = Table { heading: vec!["layer".to_owned(), "operator".to_owned()], rows: Vec::new() };
    for layers in matched {
        let first = layers.iter().flatten().next();
        let cell = |text: fn(&LayerRow) -> &String| first.map_or(String::new(), |layer| text(layer).clone());
        table.rows.push(vec![cell(|layer| &layer.name), cell(|layer| &layer.operator)]);
    }
    for (title, text) in columns {
        for (index, network) in report.networks.iter().enumerate() {
            let cell = |layers: &Vec<Option<&LayerRow>>| layers[index].map_or(NONE.to_owned(), text);
            let cells: Vec<String> = matched.iter().map(cell).collect();
            if cells.iter().all(|cell| cell == NONE) {
                continue;
            }
            table.heading.push(label(network, title));
            table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
        }
    }
    table
}

/// The rows of a table of shares that stand for what no layer can be given.
fn rest(report: &Report, table: &mut Table) {
    let mut row = vec!["unused rows, and work of every proof".to_owned(), String::new()];
    let shares: [fn(&Shares) -> Option<f64>; 3] =
        [|rest| Some(rest.predicted_time), |rest| rest.measured_time, |rest| Some(rest.predicted_memory)];
    for share in shares {
        let found: Vec<Option<f64>> = report.networks.iter().map(|network| share(&network.rest)).collect();
        if found.iter().any(Option::is_some) {
            row.extend(found.into_iter().map(|part| part.map_or(NONE.to_owned(), percent)));
        }
    }
    row.resize(table.heading.len(), String::new());
    table.rows.push(row);
}

fn plot(
    report: &Report,
    matched: &[Vec<Option<&LayerRow>>],
    title: &str,
    bar: impl Fn(&LayerRow) -> Option<Bar>,
) -> Option<Block> {
    let series = report.networks.iter().map(|network| network.label.clone()).collect();
    let group = |layers: &Vec<Option<&LayerRow>>| BarGroup {
        label: layers.iter().flatten().next().map_or(String::new(), |layer| layer.name.clone()),
        bars: layers.iter().map(|layer| layer.and_then(&bar)).collect(),
    };
    let groups = matched.iter().map(group).filter(|group| group.bars.iter().any(Option::is_some)).collect();
    let plot = Plot { title: title.to_owned(), series, groups };
    (!plot.is_empty()).then_some(Block::Plot(plot))
}

fn layers(report: &Report) -> Vec<Block> {
    let matched = matched(report);
    let bar = |to: f64, text: String| Some(Bar { from: 0.0, to, text });
    let mut blocks = vec![
        Block::Heading("Layers: rows and tables".to_owned()),
        Block::Table(layer_table(report, &matched, &COST)),
    ];
    blocks.extend(plot(report, &matched, "Rows in each lane", |layer| {
        (layer.rows > 0).then(|| bar(f64::from(layer.rows), count(u64::from(layer.rows))))?
    }));
    let mut shares = layer_table(report, &matched, &SHARES);
    rest(report, &mut shares);
    blocks.extend([Block::Heading("Layers: parts of time and memory".to_owned()), Block::Table(shares)]);
    blocks.push(Block::Heading("Layers: zeros among the weights".to_owned()));
    blocks.extend(plot(report, &matched, "Part of the weights that is zero", |layer| {
        let part = layer.zeros as f64 / layer.weights.max(1) as f64;
        (layer.weights > 0).then(|| bar(part, percent(part)))?
    }));
    blocks.extend([
        Block::Heading("Layers: values".to_owned()),
        Block::Table(layer_table(report, &matched, &VALUES)),
    ]);
    blocks.extend(plot(report, &matched, "Range of the values over the calibration set", |layer| {
        let range = layer.range?;
        Some(Bar { from: f64::from(range.min), to: f64::from(range.max), text: extent(range) })
    }));
    blocks.extend(plot(report, &matched, "Signal to noise", |layer| {
        layer.signal_to_noise.and_then(|ratio| bar(ratio.max(0.0), decibels(Some(ratio))))
    }));
    blocks
}

fn explanations(report: &Report) -> Vec<String> {
    let mut items = vec![
        "A layer is an operation of the integer network. An activation shares the rows of the accumulator that it reads, and what only \
         moves elements has none.",
        "Rows needed: the layer's cells spread over the lanes. Rows: what it has in the circuit; runs of cells that belong together are not cut, which may \
         take some more.",
        "Parts of time and memory: a stage of a proof works on all layers at once. Each stage is divided by what it works on: rows, \
         weights, or columns of weight matrices. Memory can be measured for a whole proof only.",
        "Zeros spare key generation one addition of points each. They do not shorten proofs, and with private weights neither keys nor proofs show \
         them.",
        "Range as read: in the network of the file. Range: in the network that was turned into integers, after pruning, change of scale and \
         equalisation of channels.",
        "Signal to noise: mean square of the float values over that of the errors of the integers, against the float network that was quantised. The \
         error of pruning is that of the layer's output inside the pruned network, relative to the given one.",
        "Samples refused: inputs outside the calibrated ranges. They count as wrong.",
    ];
    if report.networks.iter().any(|network| network.measurement.is_some()) {
        items.push(
            "Measured: with a development SRS and keys that were thrown away. The peak memory is that of this process while it proved, the network, \
             the SRS and the key in it.",
        );
    }
    items.into_iter().map(str::to_owned).collect()
}
