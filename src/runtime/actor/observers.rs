//! Observers that wait for a read of the record. They get no permit: what they are told is that
//! the snapshot is new.

use super::Actor;
use crate::{
    panics::caught, protocol::machine::StoreResponse, protocol::moment::Moment,
    runtime::circuit::message::LookResult, runtime::sync::oneshot,
};

/// The observers of one circuit. Boxed once there is one: few circuits have any at a time.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "8 bytes in an idle circuit, where a Vec has 24")]
pub(super) struct Observers(Option<Box<Vec<Observer>>>);

struct Observer {
    reply: oneshot::Sender<LookResult>,
    /// The number of reads that had ended when it asked.
    reads: u64,
    /// True if it waits for an operation that was under way when it asked. If that shows nothing,
    /// a read of its own is begun.
    has_joined: bool,
    /// To be sent once the turn has published.
    result: Option<LookResult>,
}

impl Observers {
    /// Tells those whose result is known.
    fn tell(&mut self) {
        let Some(observers) = &mut self.0 else {
            return;
        };
        // The wakers are not our code, and the observer may have given up.
        for observer in observers.extract_if(.., |observer| observer.result.is_some()) {
            caught(|| observer.result.map(|result| observer.reply.send(result)));
        }
        observers.retain(|observer| !observer.reply.is_closed());
        if observers.is_empty() {
            self.0 = None;
        }
    }

    /// Drops all observers: they find their channels closed.
    pub(super) fn clear(&mut self) {
        for observer in self.0.take().into_iter().flat_map(|observers| *observers) {
            caught(|| drop(observer));
        }
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Actor {
    /// Reads the record for an observer, or lets it wait for the operation under way.
    pub(super) fn look(&mut self, at: Moment, reply: oneshot::Sender<LookResult>) {
        let has_joined = self.machine.is_operating();
        // A read that is eventually consistent may show what was there before: one more follows it.
        let stale = u64::from(self.machine.is_reading_eventually());
        let reads = self.machine.reads().saturating_add(stale);
        let result = (!self.machine.look(at)).then_some(LookResult::BackedOff);
        let observers = self.observers.0.get_or_insert_default();
        observers.push(Observer { reply, reads, has_joined, result });
    }

    /// Decides what observers are told of a response that the machine has taken.
    pub(super) fn show_observers(&mut self, now: Moment, fault: Option<LookResult>) {
        let Self { machine, observers, .. } = self;
        let Some(observers) = &mut observers.0 else {
            return;
        };
        for observer in observers.iter_mut().filter(|observer| observer.result.is_none()) {
            if machine.has_read_since(observer.reads) {
                observer.result = Some(LookResult::Shown);
            } else if machine.is_operating() {
                // The read is repeated, or another write is under way, which shows the record.
            } else if std::mem::take(&mut observer.has_joined) {
                observer.result = (!machine.look(now)).then_some(LookResult::BackedOff);
            } else {
                observer.result = Some(fault.unwrap_or(LookResult::BackedOff));
            }
        }
    }

    /// Tells observers whose result is known. After the publication: they load the snapshot.
    pub(super) fn tell_observers(&mut self) {
        self.observers.tell();
    }
}

/// What an observer is told if nothing was shown.
pub(super) fn fault(response: &StoreResponse) -> Option<LookResult> {
    match response {
        StoreResponse::Failed(kind) => Some(LookResult::Failed(*kind)),
        StoreResponse::BackedOff(_) => Some(LookResult::BackedOff),
        StoreResponse::Read(_) | StoreResponse::Written(_) => None,
    }
}
