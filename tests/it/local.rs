//! Processes over a store in memory.

mod cut_off;
mod faults;
mod flush;
mod lambda;
mod life;
mod limits;
mod names;
mod orders;
mod out_of_reach;
mod panics;
mod probes;
mod queue;
mod rules;
mod running;
mod settings;
mod snapshots;
mod starved;
mod subscribers;
mod threads;
mod try_admit;
