//! Auditing a verification key: what its fixed columns say, checked without knowing any weight.
//!
//! A key holds commitments to fixed columns: selectors, tags, tables. A key maker who is also the prover could commit to a
//! table with two values for one argument, and prove two outputs for one input. These columns are public information, so
//! everyone can make their commitments again from a [`Description`], which key generation writes beside the keys.

use std::path::Path;

use serde::Serialize;
use zkloom_backends::with_backend;
use zkloom_circuits::CompileReport;
use zkloom_circuits::tables::{Table, TableContent};
use zkloom_plonkish::Encode;
use zkloom_prover::AuditError;

use crate::artifact::{Artifact, Kind, hex};
use crate::devices;
use crate::error::{Error, Result};
use crate::session::labels;
use crate::srs::Srs;
use crate::verifier::{TensorLabel, Verifier};

/// What everyone may know of a compiled network: circuit, values of the fixed columns, layout. It holds no weights; private
/// weights show in it by intervals that are widened to powers of two.
#[derive(Clone, Debug)]
pub struct Description {
    circuit: zkloom_circuits::Compiled,
    place: String,
}

/// A lookup table whose rows were checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table's number.
    pub tag: u32,
    /// The function or interval, in words.
    pub function: String,
    /// Least argument, or for intervals least value.
    pub min: i64,
    /// Greatest argument, or for intervals greatest value.
    pub max: i64,
    /// Rows.
    pub rows: u64,
}

/// What an audit found in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Audited {
    /// Digest of the key, in hexadecimal: proofs name it.
    pub key: String,
    /// Digest of the circuit, in hexadecimal.
    pub circuit: String,
    /// Name of the network.
    pub network: String,
    /// Rows of the compiler's own matrices whose commitments were made again.
    pub own_matrix_rows: usize,
    /// Fixed columns whose commitments were made again.
    pub fixed_columns: usize,
    /// Fixed values on which the layout and the description agree.
    pub fixed_values: usize,
    /// The architecture: layers with shapes and intervals, sizes.
    pub architecture: CompileReport,
    /// The lookup tables.
    pub tables: Vec<TableReport>,
    /// Whether anyone with the model can also make the commitments to all weights again.
    pub public_weights: bool,
    /// Whether the SRS is for development only.
    pub insecure_srs: bool,
}

impl Description {
    /// Wraps a compiled network.
    pub fn new(circuit: zkloom_circuits::Compiled) -> Self {
        Self { circuit, place: "the description".to_owned() }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        Self::from_artifact(&place, &Artifact::load(path)?)
    }

    pub(crate) fn from_artifact(place: &str, artifact: &Artifact) -> Result<Self> {
        let artifact = artifact.clone().expect(place, Kind::Description)?;
        let circuit: zkloom_circuits::Compiled = artifact.decode(place)?;
        let damaged = |reason: String| Error::Damaged { place: place.to_owned(), reason };
        circuit.circuit.validate().map_err(|error| damaged(error.to_string()))?;
        circuit.layout.check(&circuit.circuit).map_err(damaged)?;
        Ok(Self { circuit, place: place.to_owned() })
    }

    /// Writes a file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let parents = vec![self.circuit.circuit.digest()];
        Artifact::new(Kind::Description, parents, self.circuit.to_vec()).save(path)
    }

    /// Circuit, fixed values and layout.
    pub fn parts(&self) -> &zkloom_circuits::Compiled {
        &self.circuit
    }

    /// The whole architecture as JSON: every layer with what it reads, its geometry, its function value by value and the
    /// intervals that are stated for it. No weights are in it.
    pub fn architecture_json(&self) -> String {
        serde_json::to_string_pretty(self.circuit.layout.structure.graph()).unwrap_or_default()
    }

    /// Sizes layer by layer, as the description states them.
    pub fn report(&self) -> CompileReport {
        self.circuit.report()
    }

    fn mixed(&self, other: &Verifier, what: &'static str, (wanted, found): (String, String)) -> Error {
        Error::Mixed { first: other.place.clone(), second: self.place.clone(), what, wanted, found }
    }
}

fn table_report(table: &Table) -> TableReport {
    let interval = table.interval();
    let function = match &table.content {
        TableContent::Remainders { .. } => "interval of remainders".to_owned(),
        TableContent::Input { .. } => "interval of inputs".to_owned(),
        TableContent::Clamp { min, max, .. } => format!("clamp to {min}..{max}"),
        TableContent::Values { first, values, .. } => format!("{} values from {first}", values.len()),
    };
    TableReport { tag: table.tag, function, min: interval.min, max: interval.max, rows: table.rows() }
}

impl Verifier {
    /// Checks that an SRS is the key's, before work is spent on it.
    ///
    /// # Errors
    /// [`Error::Audit`], naming both.
    pub fn check_srs(&self, srs: &Srs) -> Result<()> {
        let (wanted, found) = (self.key.srs(), srs.inner.pin().identity());
        if wanted == found { Ok(()) } else { Err(AuditError::OtherSrs { wanted, found }.into()) }
    }

    /// Checks what the key's fixed columns say, without knowing any weight: that the description is of the key's circuit, that
    /// circuit and fixed values are what the compiler makes of the architecture that it states, and that the key's commitments
    /// are those of these values. What then holds is in the documentation of [`zkloom_circuits::audit()`]. The SRS must hold
    /// Lagrange points for the circuit's rows ([`Srs::ensure_lagrange`]); its points are checked. `backend` is a device's name.
    ///
    /// # Errors
    /// [`Error::Mixed`] for another circuit or network, [`Error::Description`] and [`Error::Audit`], naming what differs.
    pub fn audit(&self, description: &Description, srs: &Srs, backend: &str) -> Result<Audited> {
        let circuit = self.key.circuit();
        let (wanted, found) = (circuit.digest(), description.circuit.circuit.digest());
        if wanted != found {
            return Err(description.mixed(self, "the circuit", (hex(&wanted), hex(&found))));
        }
        let (wanted, found) = (&self.network, description.circuit.layout.network());
        if wanted != found {
            return Err(description.mixed(self, "the network", (wanted.clone(), found.to_owned())));
        }
        zkloom_circuits::audit(&description.circuit)
            .map_err(|source| Error::Description { place: description.place.clone(), source })?;
        self.check_labels(description)?;
        let (fixed, key) = (&description.circuit.fixed, &self.key);
        let own = description
            .circuit
            .own_matrices()
            .map_err(|error| Error::Description { place: description.place.clone(), source: error.into() })?;
        let backend = devices::open(backend, None, circuit.log_rows)?.backend;
        with_backend!(&backend, backend => {
            zkloom_prover::audit::check_fixed(backend, &srs.inner, key, fixed, &own)
        })?;
        Ok(Audited {
            key: hex(&key.digest()),
            circuit: hex(&circuit.digest()),
            network: self.network.clone(),
            own_matrix_rows: own.iter().map(|(_, matrix)| matrix.rows()).sum(),
            fixed_columns: fixed.columns.len(),
            fixed_values: fixed.columns.iter().map(Vec::len).sum(),
            architecture: description.report(),
            tables: description.circuit.layout.tables.iter().map(table_report).collect(),
            public_weights: circuit.matrices.iter().all(|matrix| matrix.public),
            insecure_srs: srs.is_insecure(),
        })
    }

    /// Names and shapes of inputs and outputs, which the key shows to people, are those of the architecture. Their scales are not
    /// part of it: what an integer stands for is the key maker's word, and bound to the key.
    fn check_labels(&self, description: &Description) -> Result<()> {
        let wanted = labels(self.key.circuit(), description.circuit.layout.structure.graph());
        let text = |label: Option<&TensorLabel>| match label {
            Some(TensorLabel { name, shape, .. }) => format!("`{name}` of shape {shape:?}"),
            None => "no such tensor".to_owned(),
        };
        for index in 0..wanted.len().max(self.labels.len()) {
            let (wanted, found) = (wanted.get(index), self.labels.get(index));
            let same = wanted.zip(found).is_some_and(|(wanted, found)| {
                let shown = |label: &TensorLabel| (label.identifier, label.name.clone(), label.shape.clone());
                shown(wanted) == shown(found)
            });
            if !same {
                let identifier = found.or(wanted).map_or(0, |label| label.identifier);
                let (place, wanted, found) = (self.place.clone(), text(wanted), text(found));
                return Err(Error::Label { place, identifier, wanted, found });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Compiled, Imported, Keyed, Quantised, SetupOptions};
    use zkloom_circuits::{CompileOptions, WeightVisibility};
    use zkloom_model::data::Dataset;
    use zkloom_model::quantise::QuantisationOptions;
    use zkloom_verifier::{G1Affine, VerifyingKey};

    const SELECTOR: usize = 0;
    const TAG: usize = 1;

    struct World {
        compiled: Compiled,
        srs: Srs,
        keyed: Keyed,
    }

    fn compiled(options: &CompileOptions) -> Compiled {
        let fixture = |name: &str| format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let calibration = Dataset::load(fixture("digits-calibration.npz")).unwrap();
        let imported = Imported::from_file(fixture("digits-mlp.onnx")).unwrap();
        let quantised = imported.quantise(&calibration, &QuantisationOptions::default()).unwrap();
        quantised.compile(options).unwrap()
    }

    fn world() -> World {
        let compiled = compiled(&CompileOptions::default());
        let mut srs = Srs::development(compiled.srs_log_size()).unwrap();
        srs.ensure_lagrange(compiled.circuit().log_rows, None).unwrap();
        let keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
        World { compiled, srs, keyed }
    }

    /// The key with one commitment changed, as a key maker with a program of its own could make it.
    fn forged(world: &World, column: usize, change: impl Fn(G1Affine) -> G1Affine) -> Verifier {
        let verifier = world.keyed.verifier();
        let key = &verifier.key;
        let mut fixed = key.fixed().to_vec();
        fixed[column] = change(fixed[column]);
        let parts = (key.circuit().clone(), key.hash(), key.srs());
        let made = VerifyingKey::new(parts.0, parts.1, parts.2, fixed, key.matrices().to_vec()).unwrap();
        Verifier { key: made.with_context(key.context()), ..verifier.clone() }
    }

    #[track_caller]
    fn names(result: Result<Audited>, words: &[&str]) {
        let error = result.expect_err("it is refused");
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(error.class(), crate::error::Class::Invalid, "{text}");
    }

    #[test]
    fn an_honest_key_passes_and_forged_columns_are_named() {
        let world = world();
        let (honest, description) = (world.keyed.verifier(), world.keyed.description());
        let audited = honest.audit(&description, &world.srs, "cpu").unwrap();
        assert_eq!((audited.public_weights, audited.insecure_srs), (false, true));
        assert_eq!(audited.key, hex(&honest.key.digest()));
        assert!(audited.tables.len() >= 3 && !audited.architecture.layers.is_empty());

        // One row's selector off; one row in another table.
        let lagrange = world.srs.inner.lagrange(honest.key.circuit().log_rows).unwrap()[0];
        let cleared = forged(&world, SELECTOR, |point| (point - lagrange).into());
        names(cleared.audit(&description, &world.srs, "cpu"), &["fixed column 0", "`selector`"]);
        let tagged = forged(&world, TAG, |point| (point + lagrange).into());
        names(tagged.audit(&description, &world.srs, "cpu"), &["fixed column 1", "`tag`"]);

        // A second value for one argument, in a key that key generation itself makes.
        let mut two_valued = world.compiled.clone();
        let sets = two_valued.circuit.circuit.table_sets.clone();
        let mut push = |column: u32, value| two_valued.circuit.fixed.columns[column as usize].push(value);
        push(sets[0].selector, 1);
        for set in &sets {
            push(set.values[0], 0);
            push(set.values[1], 5);
            push(set.tag, 3);
        }
        let two_valued = two_valued.setup_unchecked(&world.srs, &SetupOptions::default()).unwrap();
        names(
            two_valued.verifier().audit(&description, &world.srs, "cpu"),
            &["fixed column 2", "commits to other"],
        );
        // Its maker cannot state it openly either.
        names(
            two_valued.verifier().audit(&two_valued.description(), &world.srs, "cpu"),
            &["fixed column 2 has"],
        );
    }

    #[test]
    fn other_circuits_layouts_and_reference_strings() {
        let world = world();
        let (honest, description) = (world.keyed.verifier(), world.keyed.description());
        let lanes = CompileOptions { lanes: Some(3), ..CompileOptions::default() };
        let other = Description::new(compiled(&lanes).circuit);
        assert!(matches!(
            honest.audit(&other, &world.srs, "cpu"),
            Err(Error::Mixed { what: "the circuit", .. })
        ));

        let mut renamed = description.clone();
        let mut other_name = world.compiled.graph().clone();
        other_name.name.push('x');
        renamed.circuit.layout.structure =
            zkloom_circuits::structure::Structure::of(&other_name, true).unwrap();
        assert!(matches!(
            honest.audit(&renamed, &world.srs, "cpu"),
            Err(Error::Mixed { what: "the network", .. })
        ));
        // Other fixed values for the same circuit.
        let mut values = description.clone();
        values.circuit.fixed.columns[1][0] += 1;
        names(
            honest.audit(&values, &world.srs, "cpu"),
            &["the description is not what the compiler makes", "fixed column 1"],
        );

        let mut stranger = Srs::development(world.compiled.srs_log_size()).unwrap();
        stranger.ensure_lagrange(honest.key.circuit().log_rows, None).unwrap();
        let error = honest.audit(&description, &stranger, "cpu").unwrap_err();
        assert!(matches!(error, Error::Audit(AuditError::OtherSrs { .. })), "{error}");
        // Points that do not belong to the SRS, as a damaged cache would give them.
        let log_rows = honest.key.circuit().log_rows;
        let mut wrong = world.srs.clone();
        wrong.inner.set_lagrange(log_rows, stranger.inner.lagrange(log_rows).unwrap().to_vec()).unwrap();
        let error = honest.audit(&description, &wrong, "cpu").unwrap_err();
        assert!(error.to_string().contains("Lagrange points do not belong"), "{error}");
    }

    /// The digits network with the index of its largest output.
    fn with_arg_max() -> Quantised {
        use zkloom_model::integer_graph::{Activation, IntegerNode, IntegerOp, Interval, TensorId};
        let fixture = |name: &str| format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let calibration = Dataset::load(fixture("digits-calibration.npz")).unwrap();
        let imported = Imported::from_file(fixture("digits-mlp.onnx")).unwrap();
        let mut quantised = imported.quantise(&calibration, &QuantisationOptions::default()).unwrap();
        let graph = &mut quantised.graph;
        let (logits, shift) = (graph.output, graph.shift);
        let mut tensor = graph.tensor(logits).clone();
        let reached = tensor.interval;
        let requantised = |value| zkloom_model::rounding::requantise(value, shift);
        let domain = Interval { min: requantised(reached.min), max: requantised(reached.max) };
        let function = Activation::Clamp { min: -128, max: 127 };
        tensor.name = "clamped".to_owned();
        tensor.interval = function.image(domain);
        let clamped = TensorId(graph.tensors.len());
        graph.tensors.push(tensor.clone());
        let op = IntegerOp::Activate { input: logits, shift, function, domain };
        graph.nodes.push(IntegerNode { name: "clamp".to_owned(), op, output: clamped });
        (tensor.name, tensor.shape, tensor.interval) =
            ("index".to_owned(), vec![1], Interval { min: 0, max: 9 });
        let index = TensorId(graph.tensors.len());
        graph.tensors.push(tensor);
        let op = IntegerOp::ArgMax { input: clamped, length: 10, inner: 1, last: false };
        graph.nodes.push(IntegerNode { name: "index".to_owned(), op, output: index });
        graph.output = index;
        quantised
    }

    /// A key maker could bind the key to names of his own: people would take the numbers for others.
    #[test]
    fn labels_are_those_of_the_architecture() {
        let world = world();
        let (honest, description) = (world.keyed.verifier(), world.keyed.description());
        let changes: [fn(&mut Vec<TensorLabel>); 4] = [
            |labels| labels[0].name.push('x'),
            |labels| labels[0].shape.insert(0, 1),
            |labels| labels.push(labels[0].clone()),
            |labels| labels.clear(),
        ];
        for change in changes {
            let mut forged = honest.clone();
            change(&mut forged.labels);
            let context = crate::verifier::context(&forged.network, &forged.labels, forged.srs_kind);
            forged.key = forged.key.with_context(context);
            names(forged.audit(&description, &world.srs, "cpu"), &["tensor 1", "audited architecture"]);
        }
    }

    /// With a counting matrix of its own, a key maker could have any index as the largest element's.
    #[test]
    fn another_matrix_in_place_of_the_compilers() {
        let quantised = with_arg_max();
        let compiled = quantised.compile(&CompileOptions::default()).unwrap();
        let mut srs = Srs::development(compiled.srs_log_size()).unwrap();
        srs.ensure_lagrange(compiled.circuit().log_rows, None).unwrap();
        let honest = compiled.setup(&srs, &SetupOptions::default()).unwrap();
        let audited = honest.verifier().audit(&honest.description(), &srs, "cpu").unwrap();
        assert_eq!(audited.own_matrix_rows, 10);

        let mut weights = compiled.circuit.weights(&quantised.graph).unwrap();
        let counts = weights.last_mut().unwrap();
        counts.entries.swap(11, 12);
        let circuit = compiled.circuit().clone();
        let backend = zkloom_backends::CpuBackend::new(None).unwrap();
        let values = (compiled.circuit.fixed.clone(), weights);
        let hash = honest.key.verifying().hash();
        let made = zkloom_prover::key::generate(&backend, &srs.inner, circuit, values, hash).unwrap();
        let mut forged = honest.verifier();
        forged.key = made.verifying().clone().with_context(forged.key.context());
        names(forged.audit(&honest.description(), &srs, "cpu"), &["matrix", "counts", "row 1"]);
    }

    #[test]
    fn a_file_with_the_circuit_of_another_network() {
        use zkloom_model::integer_graph::{Activation, IntegerOp};
        use zkloom_plonkish::{Decode, Encode};
        let compiled =
            compiled(&CompileOptions { weights: WeightVisibility::Public, ..CompileOptions::default() });
        assert!(Compiled::from_slice(&compiled.to_vec()).is_ok());
        let mut other = compiled.clone();
        for node in &mut other.graph.nodes {
            if let IntegerOp::Activate { function: Activation::Clamp { max, .. }, .. } = &mut node.op {
                *max /= 4;
            }
        }
        assert!(Compiled::from_slice(&other.to_vec()).is_err());
        let srs = Srs::development(compiled.srs_log_size()).unwrap();
        let mut keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
        assert!(Keyed::from_slice(&keyed.to_vec()).is_ok());
        keyed.graph = other.graph;
        assert!(Keyed::from_slice(&keyed.to_vec()).is_err());
        // A circuit that is not the compiler's makes no keys.
        let mut changed = compiled;
        changed.circuit.fixed.columns[TAG][0] += 1;
        names(changed.setup(&srs, &SetupOptions::default()).map(|_| unreachable()), &["fixed column 1"]);
    }

    fn unreachable() -> Audited {
        panic!("keys were made")
    }

    #[test]
    fn public_weights_and_files() {
        let options = CompileOptions { weights: WeightVisibility::Public, ..CompileOptions::default() };
        let compiled = compiled(&options);
        let mut srs = Srs::development(compiled.srs_log_size()).unwrap();
        srs.ensure_lagrange(compiled.circuit().log_rows, None).unwrap();
        let keyed = compiled.setup(&srs, &SetupOptions::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("circuit.public");
        keyed.description().save(&path).unwrap();
        let description = Description::load(&path).unwrap();
        assert_eq!(description.parts(), keyed.description().parts());
        assert!(keyed.verifier().audit(&description, &srs, "cpu").unwrap().public_weights);

        // A well-formed file with a layout of something else.
        let mut broken = keyed.description();
        broken.circuit.layout.choices.lanes += 1;
        broken.save(&path).unwrap();
        assert!(matches!(Description::load(&path), Err(Error::Damaged { .. })));
        keyed.verifier().save(&path).unwrap();
        assert!(matches!(Description::load(&path), Err(Error::WrongKind { .. })));
    }
}
