//! Files that were tampered with by somebody who repairs their digests: what they say is bound all the same.

use zkloom::artifact::{Artifact, Kind};
use zkloom::{
    CompileOptions, Dataset, Error, Imported, Keyed, QuantisationOptions, SetupOptions, Srs, Verifier,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

fn keys() -> Keyed {
    let calibration = Dataset::load(format!("{FIXTURES}/digits-calibration.npz")).unwrap();
    let imported = Imported::from_file(format!("{FIXTURES}/digits-mlp.onnx")).unwrap();
    let quantised = imported.quantise(&calibration, &QuantisationOptions::default()).unwrap();
    let compiled = quantised.compile(&CompileOptions::default()).unwrap();
    compiled.setup(&Srs::development(compiled.srs_log_size()).unwrap(), &SetupOptions::default()).unwrap()
}

/// Wraps changed content in a file whose digest fits.
fn rewrap(
    folder: &tempfile::TempDir,
    kind: Kind,
    parents: Vec<[u8; 32]>,
    content: Vec<u8>,
) -> std::path::PathBuf {
    let path = folder.path().join("file");
    Artifact::new(kind, parents, content).save(&path).unwrap();
    path
}

#[test]
fn a_network_without_activations_survives_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let weights = zkloom::FloatMatrix { rows: 2, columns: 3, values: vec![0.5, -1.0, 0.25, 1.0, 0.0, -0.75] };
    let graph = zkloom::FloatGraph::dense("linear", vec![(weights, vec![0.1, -0.2])]).unwrap();
    let calibration = Dataset::new(vec![2, 3], vec![0.5, -1.0, 1.0, -0.25, 0.75, 0.0], None).unwrap();
    let quantised =
        Imported::from_graph(graph).quantise(&calibration, &QuantisationOptions::default()).unwrap();
    let compiled = quantised.compile(&CompileOptions::default()).unwrap();
    let path = folder.path().join("circuit");
    compiled.save(&path).unwrap();
    let compiled = zkloom::Compiled::load(&path).unwrap();
    let srs = Srs::development(compiled.srs_log_size()).unwrap();
    let path = folder.path().join("key");
    compiled.setup(&srs, &SetupOptions::default()).unwrap().save(&path).unwrap();
    let keyed = Keyed::load(&path).unwrap();
    let proved = keyed.prove(&[0.5, -0.5, 1.0], &zkloom::ProveOptions::default(), &mut |_| {}).unwrap();
    let bound = keyed.verifier().verify(proved.file(), &keyed.pin()).unwrap();
    let reals = &bound[0].values.as_ref().unwrap().reals;
    assert!((reals[0] - 1.1).abs() < 0.05 && (reals[1] + 0.45).abs() < 0.05, "{reals:?}");
}

#[test]
fn names_and_scales_of_a_verification_key_are_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    keys().verifier().save(&path).unwrap();
    let artifact = Artifact::load(&path).unwrap();
    // One byte says where the SRS comes from, then the network's name, the labels (identifier, name, shape, scale), the key.
    let name_end = 1 + 4 + u32::from_be_bytes(artifact.content[1..5].try_into().unwrap()) as usize;
    for at in [0, 5, name_end + 4 + 3, name_end + 4 + 4 + 4, name_end + 4 + 4 + 4 + 6 + 4 + 3] {
        let mut content = artifact.content.to_vec();
        content[at] ^= 1;
        let changed = rewrap(&folder, Kind::VerificationKey, artifact.parents.clone(), content);
        assert!(matches!(Verifier::load(&changed), Err(Error::Damaged { .. })), "byte {at}");
    }
    let same = rewrap(&folder, Kind::VerificationKey, artifact.parents.clone(), artifact.content.to_vec());
    assert!(Verifier::load(&same).is_ok());
}

#[test]
fn every_change_of_a_proving_key_is_refused_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let keyed = keys();
    keyed.save(&path).unwrap();
    let artifact = Artifact::load(&path).unwrap();
    let digest = keyed.verifier().key().digest();
    let step = artifact.content.len() / 60 + 1;
    for at in (0..artifact.content.len()).step_by(step) {
        let mut content = artifact.content.to_vec();
        content[at] ^= 0x41;
        let changed = rewrap(&folder, Kind::ProvingKey, artifact.parents.clone(), content);
        // What can be read must still be a key that works with itself or fails; it must never panic.
        if let Ok(other) = Keyed::load(&changed) {
            let input = vec![0.5; 64];
            if let Ok(proved) = other.prove(&input, &zkloom::ProveOptions::default(), &mut |_| {}) {
                let same = other.verifier().key().digest() == digest;
                assert!(!same || keyed.verifier().verify(proved.file(), &keyed.pin()).is_ok(), "byte {at}");
            }
        }
    }
}
