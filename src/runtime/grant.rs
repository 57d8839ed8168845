//! What the actor answers an admitted caller with.

use std::{fmt, sync::Arc};

use crate::{
    protocol::machine::{Pass, Report},
    runtime::circuit::Circuit,
};

/// Leave for one call, on its way to the caller. One that never arrives ends as if
/// the call had been ignored: it did not begin, so it says nothing about the
/// dependency, whatever a cancelled call counts as.
pub(crate) struct Grant {
    circuit: Arc<Circuit>,
    pass: Pass,
    arrived: bool,
}

impl Grant {
    pub(crate) fn new(circuit: Arc<Circuit>, pass: Pass) -> Self {
        Self { circuit, pass, arrived: false }
    }

    /// The caller has it, and makes a permit of it.
    pub(crate) fn into_pass(mut self) -> Pass {
        self.arrived = true;
        self.pass
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if !self.arrived {
            // A right to probe is kept for the next call.
            let _ = self.circuit.report(self.pass, Report::Ignored);
        }
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("pass", &self.pass).finish_non_exhaustive()
    }
}
