//! The part of ICICLE's binary interface that the adapter calls, on the processor: tests install it under ICICLE's names.
//!
//! It is stricter than the original. Device memory has addresses that the host can't follow, which also name the device, so
//! that a wrong flag, a vector of another device and a forgotten change of device are all noticed. Where the original throws an
//! exception, the process is aborted. `ZKLOOM_STUB_FAULT` names a function and how it fails: `bn254_msm=2` returns that code,
//! `bn254_msm=wrong` a wrong result, and `bn254_ntt=2@3` fails from the fourth call on.

#![allow(unsafe_code)]

mod arithmetic;
mod fault;
mod runtime;
