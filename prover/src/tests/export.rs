//! Writes the fixtures that the independent verifier checks (`scripts/verify_proof.py --self-test`). Run by hand, since proofs
//! are random: `cargo test --release -p zkloom-prover export -- --ignored`.

use std::path::Path;

use zkloom_plonkish::{Encode, Writer};
use zkloom_verifier::group::uncompressed;
use zkloom_verifier::{HashKind, Statement, verify};

use super::early::Setting;
use super::gadget::Gadget;
use super::sample::{Sample, Shape};
use crate::device::Prover;

/// The statement as JSON: public values as integers, external commitments as 64 bytes in hexadecimal.
fn json(statement: &Statement) -> String {
    let hex = |bytes: [u8; 64]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let externals: Vec<String> =
        statement.externals.iter().map(|point| format!("\"{}\"", hex(uncompressed(point)))).collect();
    format!("{{\"publics\": {:?}, \"externals\": [{}]}}\n", statement.publics, externals.join(", "))
}

/// The hash of what stands before the key in the file that the self-test wraps it in: development SRS, network `net`, one
/// label (tensor 1, `out`, ten values, scale 1).
fn context() -> [u8; 32] {
    let mut writer = Writer::new();
    true.encode(&mut writer);
    "net".to_owned().encode(&mut writer);
    1_u32.encode(&mut writer);
    1_u32.encode(&mut writer);
    "out".to_owned().encode(&mut writer);
    vec![10_u32].encode(&mut writer);
    1_f64.to_bits().encode(&mut writer);
    *blake3::hash(&writer.finish()).as_bytes()
}

fn export(name: &str, setting: &impl Setting) {
    let proving_key = setting.key().clone().with_context(context());
    let (key, pin) = (proving_key.verifying(), setting.srs().pin());
    let prover = Prover::new(setting.backend(), setting.srs(), &proving_key).unwrap();
    let proved = prover.prove(&setting.honest(), &mut |_| {}).unwrap();
    verify(key, pin, &proved.statement, &proved.proof).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/proofs").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("pin"), pin.to_vec()).unwrap();
    std::fs::write(folder.join("key"), key.to_vec()).unwrap();
    std::fs::write(folder.join("proof"), proved.proof.to_bytes()).unwrap();
    std::fs::write(folder.join("statement.json"), json(&proved.statement)).unwrap();
}

#[test]
#[ignore = "writes fixtures/proofs; the proofs are random, so the files change with every run"]
fn fixtures_for_the_independent_verifier() {
    export("all-kinds-keccak", &Sample::new(&Shape::default()));
    let public = Shape { hash: HashKind::Blake3, private: false, ..Shape::default() };
    export("all-kinds-blake3", &Sample::new(&public));
    export("gadget", &Gadget::new(5, true));
}
