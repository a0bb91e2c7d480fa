//! Zero-knowledge proofs of neural network inference: compile, set up, prove, verify.
