//! What a call costs through this crate, and through other circuit breakers: see
//! `lib.rs`.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    peers::run(Path::new(env!("CARGO_BIN_EXE_peers-allocations")))
}
