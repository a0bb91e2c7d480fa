//! What the fuzz targets share: a real proof with its key, and inputs that are either raw bytes or patches of real ones, so
//! that a target gets past the first checks without a corpus.

use std::sync::OnceLock;

use zkloom_plonkish::{Decode, Encode};
use zkloom_verifier::{Proof, SrsPin, Statement, VerifyingKey};

const KEY: &[u8] = include_bytes!("../../fixtures/proofs/gadget/key");
const PIN: &[u8] = include_bytes!("../../fixtures/proofs/gadget/pin");
const PROOF: &[u8] = include_bytes!("../../fixtures/proofs/gadget/proof");
const STATEMENT: &str = include_str!("../../fixtures/proofs/gadget/statement.json");

/// A powers-of-tau file that snarkjs made.
pub const PTAU: &[u8] = include_bytes!("../../fixtures/snarkjs-p8.ptau");

/// A proof and what its verifier holds.
pub struct Fixture {
    /// The trusted points.
    pub pin: SrsPin,
    /// The key.
    pub key: VerifyingKey,
    /// The public values.
    pub statement: Statement,
    /// The proof.
    pub proof: Proof,
}

impl Fixture {
    /// The fixture's bytes: key, pin, proof.
    pub const BYTES: [&'static [u8]; 3] = [KEY, PIN, PROOF];

    /// The fixture, read once.
    pub fn get() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(|| {
            let key = VerifyingKey::from_slice(KEY).expect("the key fixture is valid");
            let list = STATEMENT.split(['[', ']']).find(|part| part.contains(char::is_numeric)).unwrap_or("");
            let values = list.split(',').filter_map(|value| value.trim().parse().ok()).collect();
            Fixture {
                pin: SrsPin::from_slice(PIN).expect("the pin fixture is valid"),
                proof: Proof::from_bytes(&key, PROOF).expect("the proof fixture is valid"),
                statement: Statement { publics: vec![values], externals: Vec::new() },
                key,
            }
        })
    }
}

/// What a fuzzer's input means: after a first byte 0 it is taken as it is; otherwise it is a list of patches of `base`, each
/// an offset of two bytes and a byte to add there, and a first byte of 2 or more cuts or extends the end by some bytes.
pub fn patched(base: &[u8], data: &[u8]) -> Vec<u8> {
    let Some((&kind, rest)) = data.split_first() else { return Vec::new() };
    if kind == 0 {
        return rest.to_vec();
    }
    let mut bytes = base.to_vec();
    for patch in rest.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([patch[0], patch[1]]));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = byte.wrapping_add(patch[2]);
        }
    }
    match kind {
        1 => {}
        2..=127 => bytes.truncate(base.len().saturating_sub(usize::from(kind))),
        _ => bytes.resize(base.len() + usize::from(kind) - 127, 0),
    }
    bytes
}

/// Decodes; what is accepted encodes to the same bytes.
pub fn decode<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    let value = T::from_slice(bytes).ok()?;
    assert_eq!(value.to_vec(), bytes, "another encoding of the same value");
    Some(value)
}
