//! The `lyrebird` command.
fn main() {}
