//! Constraints on rows that layers share.

pub mod requantise;
