//! What every crate is asked to do.

use std::error::Error;

use crate::subject::Lane;

/// A circuit was built, or could not be.
pub(crate) type Built<T> = Result<T, Box<dyn Error>>;

/// One crate.
pub(crate) trait Peer {
    /// Its name, as in the manifest.
    fn name(&self) -> &'static str;

    /// So many users of one closed circuit. Each call is admitted, succeeds and
    /// reports that; it went well if it was admitted.
    ///
    /// Made of the cheapest of the crate's public interfaces that does all
    /// three, and of the settings under which that is cheapest.
    fn closed(&self, users: usize) -> Built<Vec<Lane>>;

    /// The same with rules that count over calls or over a time, as near to this crate's four as
    /// the crate has them, where it has any.
    fn ruled(&self, users: usize) -> Built<Vec<Lane>> {
        let _ = users;
        Ok(Vec::new())
    }

    /// The same of a circuit on which a failure stands for the whole run, so that good calls
    /// are counted, where the crate counts none otherwise.
    fn watched(&self, users: usize) -> Built<Vec<Lane>> {
        let _ = users;
        Ok(Vec::new())
    }

    /// A user of a closed circuit by the crate's asynchronous call, around a
    /// future that is ready. It went well if it was admitted.
    fn call(&self) -> Built<Lane>;

    /// The same on a circuit that counts slow calls.
    fn call_slow(&self) -> Built<Option<Lane>> {
        Ok(None)
    }

    /// A user of a closed circuit that counts slow calls, by the asynchronous call, around a future
    /// that pends once. It went well if it was admitted.
    fn pending(&self) -> Built<Option<Lane>> {
        Ok(None)
    }

    /// A user of a closed circuit with four rules, of whose calls every second one fails. Such a pair
    /// counts as one call, and went well if both were admitted.
    fn failing(&self) -> Built<Option<Lane>> {
        Ok(None)
    }

    /// A user of the crate's layer for tower around the service of
    /// [`answering`](crate::layered::answering), where it has one. It went well if it was admitted.
    fn layer(&self) -> Built<Option<Lane>> {
        Ok(None)
    }

    /// A user of a circuit that will be opened. It went well if it was
    /// *rejected*, and the caller knows when to come back, where the crate says.
    fn rejected(&self) -> Built<Lane>;

    /// The same, with all that is known of the circuit in the rejection, where that
    /// is another price.
    fn informed(&self) -> Built<Option<Lane>> {
        Ok(None)
    }
}
