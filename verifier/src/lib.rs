//! The zkLoom protocol: transcript, keys, proofs and their verification.
