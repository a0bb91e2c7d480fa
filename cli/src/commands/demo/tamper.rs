//! Tampering with a real proof in every way that a bit or a number allows, and what the verifier says to each.

use anyhow::Context;
use zkloom::{Keyed, ProofFile, Proved, Srs};

/// Places in the proof's bytes where a bit is flipped.
const PLACES: usize = 16;

/// One deception and the verifier's answer.
pub struct Attempt {
    /// What was changed.
    pub what: String,
    /// Why it was rejected; nothing if it was accepted.
    pub rejection: Option<String>,
}

impl Attempt {
    /// Whether the verifier noticed.
    pub fn rejected(&self) -> bool {
        self.rejection.is_some()
    }
}

/// All deceptions: the proof says `class`, the deceiver wants others to believe something else.
pub fn attempts(keyed: &Keyed, srs: &Srs, proved: &Proved, class: usize) -> anyhow::Result<Vec<Attempt>> {
    let (verifier, pin, honest) = (keyed.verifier(), srs.pin(), proved.file());
    let attempt = |what: String, file: &ProofFile| {
        let rejection = verifier.verify(file, &pin).err().map(|error| error.to_string());
        Attempt { what, rejection }
    };
    let mut attempts = Vec::new();

    let (file, other) = other_class(honest, class).context("the proof has no public output")?;
    attempts.push(attempt(
        format!("claim that the digit is a {other}: exchange its logit with the {class}'s"),
        &file,
    ));

    let mut file = honest.clone();
    *file
        .statement
        .publics
        .first_mut()
        .and_then(|values| values.first_mut())
        .context("no public value")? += 1;
    attempts.push(attempt("claim a logit that is larger by one".to_owned(), &file));

    let length = honest.bytes.len();
    for place in 0..PLACES {
        let index = place * (length - 1) / (PLACES - 1);
        let mut file = honest.clone();
        file.bytes[index] ^= 1 << (place % 8);
        attempts.push(attempt(format!("flip bit {} of byte {index} of the proof", place % 8), &file));
    }

    let mut file = honest.clone();
    file.bytes.truncate(length - 1);
    attempts.push(attempt("cut off the last byte".to_owned(), &file));

    let mut bytes = honest.to_bytes();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let rejection = ProofFile::from_bytes("the file", &bytes).err().map(|error| error.to_string());
    attempts
        .push(Attempt { what: "flip a bit of the file without mending its digest".to_owned(), rejection });
    Ok(attempts)
}

/// The same proof with the proven class's logit given to the next class.
fn other_class(honest: &ProofFile, class: usize) -> Option<(ProofFile, usize)> {
    let mut file = honest.clone();
    let logits = file.statement.publics.first_mut()?;
    let other = (class + 1) % logits.len();
    logits.swap(class, other);
    Some((file, other))
}
