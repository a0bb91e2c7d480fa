//! Devices for BN254 provers behind one interface: MSM, NTT, polynomial arithmetic.
