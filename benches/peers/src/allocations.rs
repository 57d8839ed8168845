//! How often the calls allocate that `cargo bench -p peers` times.
//!
//! A program of its own, because the allocator that counts is the whole program's.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    peers::count(|work| allocation_counter::measure(work).count_total)
}
