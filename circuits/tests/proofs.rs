//! Compiled circuits through the real prover and verifier: honest witnesses give proofs, tampered ones do not.

mod common;

use common::{Network, RELU, SATURATE, options, visibilities};
use zkloom_backends::CpuBackend;
use zkloom_circuits::{CompileOptions, Compiled, compile};
use zkloom_model::integer_graph::IntegerGraph;
use zkloom_plonkish::{Fr, Witness};
use zkloom_prover::{ProveError, Proved, Prover, ProverInput, ProvingKey, Srs, key, srs};
use zkloom_verifier::{HashKind, Proof, verify};

struct Keyed {
    compiled: Compiled,
    backend: CpuBackend,
    srs: Srs,
    key: ProvingKey,
}

impl Keyed {
    fn new(graph: &IntegerGraph, options: &CompileOptions) -> Self {
        let compiled = compile(graph, options).unwrap();
        let circuit = compiled.circuit.clone();
        let backend = CpuBackend::new(None).unwrap();
        let mut srs = srs::dev::generate(circuit.srs_length().next_power_of_two().ilog2()).unwrap();
        srs.ensure_lagrange(circuit.log_rows).unwrap();
        let values = (compiled.fixed.clone(), compiled.weights(graph).unwrap());
        let key = key::generate(&backend, &srs, circuit, values, HashKind::Keccak256).unwrap();
        Self { compiled, backend, srs, key }
    }

    fn prove(&self, witness: Witness) -> Result<Proved, ProveError> {
        let external_hiding = (5..).map(Fr::from).take(witness.externals.len()).collect();
        let input = ProverInput { witness, external_hiding };
        Prover::new(&self.backend, &self.srs, &self.key).unwrap().prove(&input, &mut |_| {})
    }

    /// A proof for an input, of the predicted size and accepted.
    fn accepted(&self, graph: &IntegerGraph, input: &[i64]) -> Proved {
        let proved = self.prove(self.compiled.witness(graph, input).unwrap()).unwrap();
        let bytes = proved.proof.to_bytes();
        assert_eq!(bytes.len() as u64, self.compiled.report().proof_bytes);
        let proof = Proof::from_bytes(self.key.verifying(), &bytes).unwrap();
        verify(self.key.verifying(), self.srs.pin(), &proved.statement, &proof).unwrap();
        proved
    }
}

#[test]
fn a_network_in_every_visibility() {
    let mut network = Network::new(&[5], 3);
    let acc = network.linear("first", network.input(), 4);
    let act = network.activate("relu", acc, RELU);
    network.linear("second", act, 3);
    let input = network.inputs().pop().unwrap();
    for options in visibilities() {
        let keyed = Keyed::new(&network.graph, &options);
        let proved = keyed.accepted(&network.graph, &input);
        assert_eq!(proved.statement.publics.len(), keyed.compiled.circuit.publics.len());
    }
}

/// Positions, lanes that cut rows of positions, a residual sum with a bias, reshapes, tables in several sets.
#[test]
fn a_network_with_every_layer() {
    let mut network = Network::new(&[3, 4], 3);
    let acc = network.linear("first", network.input(), 4);
    let act = network.activate("relu", acc, RELU);
    let bias = network.sequence.vector(12, -20, 20);
    let sum = network.sum("residual", &[(act, 3), (network.input(), -2)], bias);
    let saturated = network.activate("saturate", sum, SATURATE);
    let flat = network.reshape("flatten", saturated, &[12]);
    network.linear("head", flat, 3);
    let input = network.inputs().pop().unwrap();
    for lanes in [1, 2, 4] {
        let options = CompileOptions { log_rows: Some(6), ..options(lanes) };
        let keyed = Keyed::new(&network.graph, &options);
        assert!(keyed.compiled.circuit.table_sets.len() > 1);
        let proved = keyed.accepted(&network.graph, &input);
        let output = network.graph.run(&input).unwrap()[network.graph.output.0].clone();
        assert_eq!(proved.statement.publics, [output]);
    }
}

#[test]
fn tampered_witnesses_have_no_proof() {
    let mut network = Network::new(&[3, 2], 3);
    let acc = network.linear("dense", network.input(), 3);
    network.activate("relu", acc, RELU);
    let input = network.inputs().pop().unwrap();
    let keyed = Keyed::new(&network.graph, &options(2));
    let honest = keyed.compiled.witness(&network.graph, &input).unwrap();
    assert!(keyed.prove(honest.clone()).is_ok());
    let block = &keyed.compiled.layout.blocks[1];
    for lane in 0..2 {
        let (_, cells) = block.share(lane);
        for row in block.row..block.row + cells {
            for column in 0..3 {
                let mut tampered = honest.clone();
                tampered.advice[(3 * lane + column) as usize][row as usize] += 8;
                assert!(keyed.prove(tampered).is_err(), "lane {lane}, row {row}, column {column}");
            }
        }
    }
    let mut tampered = honest;
    tampered.publics[0][0] += 1;
    assert!(keyed.prove(tampered).is_err());
}
