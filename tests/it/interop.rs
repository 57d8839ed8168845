//! The crate and Powertools for AWS Lambda (Python) on one table: the real
//! library, in a process of its own, over HTTP.
//!
//! Needs a Python that has what `tests/interop/requirements.txt` lists, named by
//! the environment variable `FUSEBOARD_PYTHON`; without, these tests say so and
//! pass. Both clocks stand until a test moves them.
//!
//! And versions of the crate from before some attributes, where `FUSEBOARD_OLDER` names the folders
//! that `.ci/older` has built them to.

mod crossing;
mod election;
mod held;
mod hints;
mod mixed;
mod names;
mod older;
mod player;
mod python;
mod rust;
mod successes;
mod world;
