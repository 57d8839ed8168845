//! What one process decides, and what it writes: pure. No task, no channel, no clock, no
//! store and no log.

pub(crate) mod answer;
pub(crate) mod counting;
pub(crate) mod health;
pub(crate) mod machine;
pub(crate) mod moment;
pub(crate) mod record;
pub(crate) mod votes;
