//! The zkloom command line.

fn main() {}
