//! Processes over a store in memory.

mod armed;
mod classified;
mod cut_off;
mod errors;
mod faults;
mod flush;
mod flush_layer;
mod lambda;
mod life;
mod limited;
mod limits;
mod names;
mod orders;
mod out_of_reach;
mod panics;
mod probes;
mod queue;
mod recovering;
mod rules;
mod running;
mod settings;
mod snapshots;
mod starved;
mod subscribers;
mod threads;
mod try_admit;
