//! Blinding scalars: operating-system entropy hashed with the statement and the witness, so that neither a weak generator
//! alone nor a repeated one reveals a witness.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use zkloom_plonkish::{Encode, Witness};

use crate::error::ProveError;

/// A stream of uniform field elements.
pub struct Blinding {
    stream: blake3::OutputReader,
    /// Scalars drawn so far, and which of them is one larger than the stream says.
    #[cfg(test)]
    script: (usize, Option<usize>),
}

impl core::fmt::Debug for Blinding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Blinding(..)")
    }
}

impl Blinding {
    fn new(stream: blake3::OutputReader) -> Self {
        Self {
            stream,
            #[cfg(test)]
            script: (0, None),
        }
    }

    /// Fresh randomness for one proof about this witness.
    pub fn for_proof(witness: &Witness, key_digest: &[u8; 32]) -> Result<Self, ProveError> {
        let mut hasher = blake3::Hasher::new_keyed(&entropy()?);
        hasher.update(key_digest);
        hasher.update(&witness.advice.to_vec());
        hasher.update(&witness.publics.to_vec());
        hasher.update(&witness.externals.to_vec());
        Ok(Self::new(hasher.finalize_xof()))
    }

    /// Fresh randomness for a key or a structured reference string.
    pub fn for_key(context: &[u8]) -> Result<Self, ProveError> {
        let mut hasher = blake3::Hasher::new_keyed(&entropy()?);
        hasher.update(context);
        Ok(Self::new(hasher.finalize_xof()))
    }

    /// A fixed stream, in this crate's tests only.
    #[cfg(test)]
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self::new(blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof())
    }

    /// The same stream, but with its scalar `index` (from 0) increased by one.
    #[cfg(test)]
    pub(crate) fn with_moved(seed: u64, index: usize) -> Self {
        Self { script: (0, Some(index)), ..Self::from_seed(seed) }
    }

    /// Scalars drawn so far.
    #[cfg(test)]
    pub(crate) fn drawn(&self) -> usize {
        self.script.0
    }

    /// The next field element; 512 bits reduced, so that its distribution is uniform up to 2^-258.
    pub fn scalar(&mut self) -> Fr {
        let mut wide = [0; 64];
        self.stream.fill(&mut wide);
        let scalar = Fr::from_be_bytes_mod_order(&wide);
        #[cfg(test)]
        let scalar = self.scripted(scalar);
        scalar
    }

    #[cfg(test)]
    fn scripted(&mut self, scalar: Fr) -> Fr {
        let (drawn, moved) = self.script;
        self.script.0 += 1;
        if moved == Some(drawn) { scalar + Fr::from(1) } else { scalar }
    }

    /// Several field elements.
    pub fn scalars(&mut self, count: usize) -> Vec<Fr> {
        (0..count).map(|_| self.scalar()).collect()
    }
}

fn entropy() -> Result<[u8; 32], ProveError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| ProveError::Randomness(error.to_string()))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_streams_differ() {
        let witness = Witness::default();
        let draw = || Blinding::for_proof(&witness, &[0; 32]).unwrap().scalar();
        assert_ne!(draw(), draw());
        let mut stream = Blinding::for_key(b"x").unwrap();
        assert_ne!(stream.scalar(), stream.scalar());
    }
}
