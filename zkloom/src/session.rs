//! The stages, each a type: imported, quantised, compiled, keyed, proved.

use std::path::Path;

use serde::Serialize;
use zkloom_backends::with_backend;
use zkloom_circuits::compile::{INPUT_IDENTIFIER, OUTPUT_IDENTIFIER};
use zkloom_circuits::structure::Structure;
use zkloom_circuits::{CompileOptions, CompileReport};
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::FloatGraph;
use zkloom_model::integer_graph::{IntegerGraph, IntegerTensor};
use zkloom_model::onnx::ImportOptions;
use zkloom_model::quantise::{QuantisationOptions, QuantiseError, quantise};
use zkloom_model::report::{Accuracy, QuantisationReport, largest};
use zkloom_plonkish::circuit::Circuit;
use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};
use zkloom_prover::{ProvingKey, Stage};
use zkloom_verifier::{HashKind, SrsKind};

use crate::artifact::{Artifact, Kind};
use crate::audit::Description;
use crate::devices;
use crate::error::{Error, Result};
use crate::resident::{ProveOptions, Proved};
use crate::srs::Srs;
use crate::verifier::{TensorLabel, Verifier, context};

/// A network read from ONNX, in floats.
#[derive(Clone, Debug)]
pub struct Imported {
    graph: FloatGraph,
}

impl Imported {
    /// Reads an ONNX file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { graph: zkloom_model::onnx::import(path)? })
    }

    /// Reads an ONNX file; the options say what it leaves open, and which part of it to take.
    pub fn from_file_with(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self> {
        Ok(Self { graph: zkloom_model::onnx::import_with(path, options)? })
    }

    /// Reads an ONNX file's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self { graph: zkloom_model::onnx::import_bytes(bytes)? })
    }

    /// A network that was put together in memory.
    pub fn from_graph(graph: FloatGraph) -> Self {
        Self { graph }
    }

    /// The network in floats.
    pub fn graph(&self) -> &FloatGraph {
        &self.graph
    }

    /// What the float network gives for one input (row-major, without batch).
    pub fn infer(&self, input: &[f32]) -> Result<Vec<f32>> {
        let values = self.graph.run(input).map_err(QuantiseError::from)?;
        Ok(values.into_iter().nth(self.graph.output.0).unwrap_or_default())
    }

    /// Chooses scales from calibration samples and turns the network into integers.
    pub fn quantise(&self, calibration: &Dataset, options: &QuantisationOptions) -> Result<Quantised> {
        let quantised = quantise(&self.graph, calibration, options)?;
        Ok(Quantised::from_parts(quantised))
    }
}

/// A network in integers, with a report on what that cost in accuracy.
#[derive(Clone, Debug)]
pub struct Quantised {
    pub(crate) graph: IntegerGraph,
    report: QuantisationReport,
}

impl Quantised {
    pub(crate) fn from_parts(quantised: zkloom_model::quantise::Quantised) -> Self {
        Self { graph: quantised.graph, report: quantised.report }
    }

    /// Float against integer on the calibration samples.
    pub fn report(&self) -> &QuantisationReport {
        &self.report
    }

    /// The network in integers.
    pub fn graph(&self) -> &IntegerGraph {
        &self.graph
    }

    /// What the integer network gives for one input (reals, row-major, without batch), without a proof.
    pub fn infer(&self, input: &[f32]) -> Result<Inference> {
        let values = self.graph.run(&self.graph.quantise_input(input)?)?;
        let output = self.graph.tensor(self.graph.output);
        let integers = values.into_iter().nth(self.graph.output.0).unwrap_or_default();
        let reals = self.graph.dequantise_output(&integers);
        Ok(Inference { shape: output.shape.clone(), integers, reals, scale: output.scale })
    }

    /// Accuracy of the float network and of the integer one over labelled samples, by the largest output.
    pub fn accuracy(&self, float: &Imported, data: &Dataset) -> Result<Accuracy> {
        let samples = data.samples(&self.graph.tensor(self.graph.input).shape)?;
        let labels = samples.labels().ok_or_else(|| Error::Option("accuracy needs labels".to_owned()))?;
        let (mut floats, mut integers) = (0_usize, 0_usize);
        for (sample, label) in samples.iter().zip(labels) {
            let hit = |class: Option<usize>| usize::from(class.is_some_and(|class| class as i64 == *label));
            let values = float.graph.run(sample).map_err(QuantiseError::from)?;
            floats += hit(values.get(float.graph.output.0).and_then(|values| largest(values)));
            let values = self.graph.run(&self.graph.quantise_input(sample)?)?;
            integers += hit(values.get(self.graph.output.0).and_then(|values| largest(values)));
        }
        let fraction = |hits: usize| hits as f64 / samples.count() as f64;
        Ok(Accuracy { float: fraction(floats), integer: fraction(integers) })
    }

    /// Lays the network out as a circuit.
    pub fn compile(&self, options: &CompileOptions) -> Result<Compiled> {
        let circuit = zkloom_circuits::compile(&self.graph, options)?;
        let report = serde_json::to_string(&self.report).map_err(|error| Error::Option(error.to_string()))?;
        Ok(Compiled { graph: self.graph.clone(), circuit, quantisation: report })
    }
}

/// The output of an integer network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inference {
    /// Shape without batch.
    pub shape: Vec<usize>,
    /// The integers, row-major: what a proof speaks of.
    pub integers: Vec<i64>,
    /// The reals that they stand for.
    pub reals: Vec<f32>,
    /// Real value of one.
    pub scale: f64,
}

/// A compiled network. It holds the weights, so the file is secret where they are.
#[derive(Clone)]
pub struct Compiled {
    pub(crate) graph: IntegerGraph,
    pub(crate) circuit: zkloom_circuits::Compiled,
    /// The quantisation's report as JSON.
    pub(crate) quantisation: String,
}

impl core::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Weights stay out of logs.
        f.debug_struct("Compiled").field("network", &self.graph.name).finish_non_exhaustive()
    }
}

fn write_graph(graph: &IntegerGraph, writer: &mut Writer) {
    // Writing to memory cannot fail for this type; an empty graph would be refused when it is read.
    let bytes = postcard::to_stdvec(graph).unwrap_or_default();
    (bytes.len() as u64).encode(writer);
    writer.raw(&bytes);
}

fn read_graph(reader: &mut Reader<'_>) -> core::result::Result<IntegerGraph, DecodeError> {
    let length =
        usize::try_from(u64::decode(reader)?).map_err(|_| reader.invalid("the network is too long"))?;
    let bytes = reader.raw(length)?;
    let graph: IntegerGraph =
        postcard::from_bytes(bytes).map_err(|_| reader.invalid("the network cannot be read"))?;
    graph.check_structure().map_err(|_| reader.invalid("the network's parts do not fit together"))?;
    Ok(graph)
}

/// Whether a layout is one of this network: a file could hold two that do not belong together, and whoever makes keys from it
/// believes that they are the keys of its network.
fn check_network(
    graph: &IntegerGraph,
    layout: &zkloom_circuits::Layout,
    reader: &Reader<'_>,
) -> core::result::Result<(), DecodeError> {
    let structure = Structure::of(graph, !layout.choices.public_weights);
    match structure.is_ok_and(|structure| structure == layout.structure) {
        true => Ok(()),
        false => {
            Err(reader.invalid("the circuit is not one of the network beside it; compile the model again"))
        }
    }
}

impl Encode for Compiled {
    fn encode(&self, writer: &mut Writer) {
        write_graph(&self.graph, writer);
        self.circuit.encode(writer);
        self.quantisation.encode(writer);
    }
}

impl Decode for Compiled {
    fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, DecodeError> {
        let graph = read_graph(reader)?;
        let circuit = zkloom_circuits::Compiled::decode(reader)?;
        circuit.circuit.validate().map_err(|_| reader.invalid("the circuit is not well formed"))?;
        circuit
            .layout
            .check(&circuit.circuit)
            .map_err(|_| reader.invalid("the layout does not fit the circuit"))?;
        check_network(&graph, &circuit.layout, reader)?;
        Ok(Self { graph, circuit, quantisation: String::decode(reader)? })
    }
}

/// How to make keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupOptions {
    /// Hash of the transcripts.
    pub hash: HashKind,
    /// Device, as in `--backend`.
    pub backend: String,
    /// Processor threads; all by default.
    pub threads: Option<usize>,
}

impl Default for SetupOptions {
    fn default() -> Self {
        Self { hash: HashKind::Keccak256, backend: "auto".to_owned(), threads: None }
    }
}

impl Compiled {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        Artifact::load(path)?.expect(&place, Kind::Circuit)?.decode(&place)
    }

    /// Writes a file.
    pub fn save(&self, path: &Path) -> Result<()> {
        Artifact::new(Kind::Circuit, vec![self.circuit.circuit.digest()], self.to_vec()).save(path)
    }

    /// Rows, lanes, tables, layer by layer.
    pub fn report(&self) -> CompileReport {
        self.circuit.report()
    }

    /// The quantisation's report as JSON.
    pub fn quantisation_json(&self) -> &str {
        &self.quantisation
    }

    /// The circuit.
    pub fn circuit(&self) -> &zkloom_plonkish::Circuit {
        &self.circuit.circuit
    }

    /// Circuit, fixed values and layout.
    pub fn parts(&self) -> &zkloom_circuits::Compiled {
        &self.circuit
    }

    /// The network in integers.
    pub fn graph(&self) -> &IntegerGraph {
        &self.graph
    }

    /// Log2 of the number of powers of tau that keys need.
    pub fn srs_log_size(&self) -> u32 {
        let needed = self.circuit.circuit.srs_length().saturating_sub(zkloom_prover::srs::dev::SLACK).max(2);
        (u64::BITS - (needed - 1).leading_zeros()).max(self.circuit.circuit.log_rows)
    }

    /// Makes the keys. The SRS must hold Lagrange points for the circuit's rows; see [`Srs::ensure_lagrange`].
    ///
    /// The circuit is compared with what the compiler makes of the network first: it may come from a file of somebody else's.
    ///
    /// # Errors
    /// [`Error::Description`] for a circuit that is not the compiler's, and those of key generation.
    pub fn setup(&self, srs: &Srs, options: &SetupOptions) -> Result<Keyed> {
        let place = || "the compiled circuit".to_owned();
        zkloom_circuits::audit(&self.circuit)
            .map_err(|source| Error::Description { place: place(), source })?;
        self.setup_unchecked(srs, options)
    }

    /// Makes keys of whatever circuit is there.
    pub(crate) fn setup_unchecked(&self, srs: &Srs, options: &SetupOptions) -> Result<Keyed> {
        let weights = self.circuit.weights(&self.graph)?;
        let shape = self.circuit.circuit.clone();
        let values = (self.circuit.fixed.clone(), weights);
        let (length, log_rows) = (shape.srs_length(), shape.log_rows);
        let backend = devices::open(&options.backend, options.threads, log_rows)?.backend;
        let key = with_backend!(&backend, backend => {
            zkloom_prover::key::generate(backend, &srs.inner, shape, values, options.hash)
        })?;
        let srs = srs.inner.part(length, log_rows)?;
        let labels = labels(key.verifying().circuit(), &self.graph);
        let key = key.with_context(context(&self.graph.name, &labels, srs.pin().kind));
        let (layout, graph) = (self.circuit.layout.clone(), self.graph.clone());
        Ok(Keyed { key, layout, graph, srs, place: "the proving key".to_owned() })
    }
}

/// Keys: everything that proving needs, and the verification key in it.
#[derive(Clone)]
pub struct Keyed {
    pub(crate) key: ProvingKey,
    layout: zkloom_circuits::Layout,
    pub(crate) graph: IntegerGraph,
    pub(crate) srs: zkloom_prover::Srs,
    pub(crate) place: String,
}

impl core::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Weights and hiding scalars stay out of logs.
        f.debug_struct("Keyed").field("network", &self.graph.name).finish_non_exhaustive()
    }
}

impl Encode for Keyed {
    fn encode(&self, writer: &mut Writer) {
        write_graph(&self.graph, writer);
        self.layout.encode(writer);
        self.srs.encode(writer);
        self.key.encode(writer);
    }
}

impl Decode for Keyed {
    fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, DecodeError> {
        let keyed = Self {
            graph: read_graph(reader)?,
            layout: zkloom_circuits::Layout::decode(reader)?,
            srs: zkloom_prover::Srs::decode(reader)?,
            key: ProvingKey::decode(reader)?,
            place: "the proving key".to_owned(),
        };
        let circuit = keyed.key.verifying().circuit();
        keyed.layout.check(circuit).map_err(|_| reader.invalid("the layout does not fit the circuit"))?;
        check_network(&keyed.graph, &keyed.layout, reader)?;
        let labels = labels(circuit, &keyed.graph);
        if keyed.key.verifying().context() != context(&keyed.graph.name, &labels, keyed.srs_kind()) {
            return Err(reader.invalid("the network is not the one that the key is bound to"));
        }
        Ok(keyed)
    }
}

fn label(identifier: u32, tensor: &IntegerTensor) -> TensorLabel {
    let shape = tensor.shape.iter().map(|extent| *extent as u32).collect();
    TensorLabel { identifier, name: tensor.name.clone(), shape, scale: tensor.scale }
}

/// Labels of the tensors that statements speak of.
pub(crate) fn labels(circuit: &Circuit, graph: &IntegerGraph) -> Vec<TensorLabel> {
    let stated = |identifier: u32| {
        circuit.publics.iter().any(|p| p.identifier == identifier)
            || circuit.externals.iter().any(|e| e.identifier == identifier)
    };
    let tensors = [(INPUT_IDENTIFIER, graph.input), (OUTPUT_IDENTIFIER, graph.output)];
    let stated = tensors.into_iter().filter(|(identifier, _)| stated(*identifier));
    stated.map(|(identifier, tensor)| label(identifier, graph.tensor(tensor))).collect()
}

impl Keyed {
    /// Reads a proving key.
    pub fn load(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let keyed: Self = Artifact::load(path)?.expect(&place, Kind::ProvingKey)?.decode(&place)?;
        Ok(Self { place, ..keyed })
    }

    /// Writes the proving key. It holds the weights.
    pub fn save(&self, path: &Path) -> Result<()> {
        let verifying = self.key.verifying();
        let parents = vec![verifying.circuit().digest(), verifying.srs()];
        Artifact::new(Kind::ProvingKey, parents, self.to_vec()).save(path)
    }

    /// The verification key.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            key: self.key.verifying().clone(),
            network: self.graph.name.clone(),
            labels: labels(self.key.verifying().circuit(), &self.graph),
            srs_kind: self.srs_kind(),
            place: "the verification key".to_owned(),
        }
    }

    /// Where the SRS comes from.
    pub fn srs_kind(&self) -> SrsKind {
        self.srs.pin().kind
    }

    /// The circuit with its fixed values and layout.
    pub(crate) fn circuit(&self) -> zkloom_circuits::Compiled {
        zkloom_circuits::Compiled {
            circuit: self.key.verifying().circuit().clone(),
            fixed: self.key.fixed().clone(),
            layout: self.layout.clone(),
        }
    }

    /// What everyone may know of the circuit, for audits of the verification key.
    pub fn description(&self) -> Description {
        Description::new(self.circuit())
    }

    /// The verifier's part of its SRS.
    pub fn pin(&self) -> zkloom_verifier::SrsPin {
        self.srs.pin().clone()
    }

    /// Shape of the network's input, without batch.
    pub fn input_shape(&self) -> Vec<usize> {
        self.graph.tensor(self.graph.input).shape.clone()
    }

    /// The network in integers.
    pub fn graph(&self) -> &IntegerGraph {
        &self.graph
    }

    /// The proving key's protocol part.
    pub fn key(&self) -> &ProvingKey {
        &self.key
    }

    /// Proves one inference. `observer` hears of each stage when it begins.
    pub fn prove(
        &self,
        input: &[f32],
        options: &ProveOptions,
        observer: &mut dyn FnMut(Stage),
    ) -> Result<Proved> {
        let integers = self.graph.quantise_input(input)?;
        self.prove_integers(&integers, options, observer)
    }

    /// Proves one inference on an input that is quantised already. The key is made resident on the device for this proof
    /// alone; [`Keyed::resident`] keeps it there for many.
    pub fn prove_integers(
        &self,
        input: &[i64],
        options: &ProveOptions,
        observer: &mut dyn FnMut(Stage),
    ) -> Result<Proved> {
        self.resident(options, |key| key.prove_integers(input, &options.openings, observer))
    }
}
