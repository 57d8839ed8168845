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
    id: CallId,
    arrived: bool,
}

impl UndeliveredPermit {
    pub(crate) fn new(circuit: Arc<Circuit>, id: CallId) -> Self {
        Self { circuit, id, arrived: false }
    }

    /// The caller has it, and makes a permit of it.
    pub(crate) fn into_id(mut self) -> CallId {
        self.arrived = true;
        self.id
    }
}

impl Drop for UndeliveredPermit {
    fn drop(&mut self) {
        if !self.arrived {
            // Ignored, and not dropped: the machine keeps a right to probe for the next call
            // of this process, where a dropped probe would hand it to the fleet.
            let _ = self.circuit.report(self.id, CallEnd::Ignored);
        }
    }
}

impl fmt::Debug for UndeliveredPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndeliveredPermit").field("id", &self.id).finish_non_exhaustive()
    }
}
