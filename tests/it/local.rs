//! Processes over a store in memory.

mod closed;
mod cut_off;
mod faults;
mod flush;
mod life;
mod limits;
mod names;
mod open;
mod orders;
mod out_of_reach;
mod panics;
mod probes;
mod queue;
mod refresh;
mod rules;
mod running;
mod settings;
mod starved;
mod stragglers;
mod subscribers;
mod threads;
mod try_admit;
