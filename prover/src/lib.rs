//! Structured reference strings, key generation and the zkLoom prover, generic over the device.
