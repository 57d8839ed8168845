//! A user's hold on a circuit.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, atomic::Ordering},
};

use super::Circuit;
use crate::runtime::circuit::message::Message;

/// A counted reference to a circuit: while there is one, the circuit is not forgotten.
pub(crate) struct Handle(Arc<Circuit>);

impl Handle {
    pub(crate) fn new(circuit: Arc<Circuit>) -> Self {
        // Relaxed: a handle is made of another one, or under the registry's lock, under
        // which the actor looks at the number before it forgets the circuit.
        circuit.handles.fetch_add(1, Ordering::Relaxed);
        Self(circuit)
    }
}

impl Deref for Handle {
    type Target = Circuit;

    #[inline]
    fn deref(&self) -> &Circuit {
        &self.0
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Released, for the actor that acquires it: what the handles have reported is
        // seen by it before it forgets the circuit.
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A full mailbox wakes the actor anyway, and it looks by itself.
            let _ = self.0.mailbox.try_send(Message::Released);
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
