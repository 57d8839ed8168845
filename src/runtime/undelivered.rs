//! What the actor answers an admitted caller with.

use std::{fmt, sync::Arc};

use crate::{
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::Circuit,
};

/// Leave for one call, on its way to the caller. One that never arrives ends as if
/// the call had been ignored: it did not begin, so it says nothing about the
/// dependency, whatever a cancelled call counts as.
pub(crate) struct UndeliveredPermit {
    circuit: Arc<Circuit>,
    pass: CallId,
    arrived: bool,
}

impl UndeliveredPermit {
    pub(crate) fn new(circuit: Arc<Circuit>, pass: CallId) -> Self {
        Self { circuit, pass, arrived: false }
    }

    /// The caller has it, and makes a permit of it.
    pub(crate) fn into_pass(mut self) -> CallId {
        self.arrived = true;
        self.pass
    }
}

impl Drop for UndeliveredPermit {
    fn drop(&mut self) {
        if !self.arrived {
            // A right to probe is kept for the next call.
            let _ = self.circuit.report(self.pass, CallEnd::Ignored);
        }
    }
}

impl fmt::Debug for UndeliveredPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndeliveredPermit").field("pass", &self.pass).finish_non_exhaustive()
    }
}
