//! When rules trip: the tables and pictures of `docs/tripping.md`, of simulated traffic through
//! real circuits. Every random number follows from a seed, so that each run shows the same.
//!
//! ```text
//! cargo run --release -p tripping                    # prints the tables
//! cargo run --release -p tripping -- pictures docs   # draws the pictures into that folder
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

mod busy;
mod circuit;
mod picture;
mod rules;
mod svg;
mod table;
mod traffic;
mod weather;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => table::print(),
        ["pictures", folder] => {
            if let Err(error) = picture::write_all(folder.as_ref()) {
                eprintln!("{folder}: {error}");
                return ExitCode::FAILURE;
            }
        }
        _ => {
            eprintln!("usage: tripping [pictures FOLDER]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
