//! Real proofs from `fixtures/proofs`, and a seeded stream of numbers.

#![allow(dead_code)] // Each test file uses a part.

use std::path::Path;

use zkloom_plonkish::{Decode, Reader};
use zkloom_verifier::group::read_uncompressed;
use zkloom_verifier::{Proof, SrsPin, Statement, VerifyingKey};

/// Names of the fixtures.
pub const NAMES: [&str; 3] = ["all-kinds-keccak", "all-kinds-blake3", "gadget"];

/// What a verifier holds, and the bytes that it came from.
pub struct Fixture {
    pub pin: SrsPin,
    pub key: VerifyingKey,
    pub statement: Statement,
    pub proof: Proof,
    pub pin_bytes: Vec<u8>,
    pub key_bytes: Vec<u8>,
    pub proof_bytes: Vec<u8>,
}

/// The text between two marks.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let from = text.find(start).unwrap() + start.len();
    let length = text[from..].find(end).unwrap();
    &text[from..from + length]
}

/// `{"publics": [[1, 2], [3]], "externals": ["hex"]}`
fn statement(text: &str) -> Statement {
    let row = |row: &str| row.split(',').map(|value| value.trim().parse().unwrap()).collect();
    let lists = between(text, "\"publics\": [", "], \"externals\"");
    let publics =
        lists.split(']').filter_map(|list| list.split_once('[')).map(|(_, list)| row(list)).collect();
    let point = |hex: &str| {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        read_uncompressed(&mut Reader::new(&bytes)).unwrap()
    };
    let externals =
        between(text, "\"externals\": [", "]}").split('"').filter(|part| part.len() == 128).map(point);
    Statement { publics, externals: externals.collect() }
}

/// Loads a fixture.
pub fn load(name: &str) -> Fixture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/proofs").join(name);
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let (pin_bytes, key_bytes, proof_bytes) = (read("pin"), read("key"), read("proof"));
    let key = VerifyingKey::from_slice(&key_bytes).unwrap();
    Fixture {
        pin: SrsPin::from_slice(&pin_bytes).unwrap(),
        proof: Proof::from_bytes(&key, &proof_bytes).unwrap(),
        key,
        statement: statement(&String::from_utf8(read("statement.json")).unwrap()),
        pin_bytes,
        key_bytes,
        proof_bytes,
    }
}

/// Numbers that look random and are the same on every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }

    /// Bytes of any value.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 40) as u8).collect()
    }

    /// Changes some bytes: a bit flipped, a byte replaced, a run copied, the end cut or extended.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            match self.below(8) {
                0..=2 => bytes[at] ^= 1 << self.below(8),
                3 | 4 => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][self.below(6)],
                5 => {
                    let length = self.below(bytes.len() - at).min(64);
                    let from = self.below(bytes.len() - length);
                    bytes.copy_within(from..from + length, at);
                }
                6 => bytes.truncate(at),
                _ => {
                    let count = self.below(40);
                    let more = self.bytes(count);
                    bytes.extend(more);
                }
            }
        }
    }
}
