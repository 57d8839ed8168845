//! The last announcements of circuits that were forgotten while they were not closed. With them
//! a new actor of such a circuit does not announce the same opening a second time.

use std::collections::{HashMap, VecDeque};

use crate::{name::CircuitName, runtime::actor::LastAnnounced};

/// The number of circuits whose last announcement is kept. A bound: names may come from requests.
const MOST: usize = 1_024;

/// The last announcements of the circuits that were forgotten most recently.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    announced: HashMap<CircuitName, LastAnnounced>,
    /// Names in the order in which they were forgotten. A name that was taken stays here.
    order: VecDeque<CircuitName>,
}

impl Forgotten {
    pub(super) fn keep(&mut self, name: CircuitName, announced: LastAnnounced) {
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.announced.remove(&oldest);
        }
        self.order.push_back(name.clone());
        self.announced.insert(name, announced);
    }

    pub(super) fn take(&mut self, name: &CircuitName) -> Option<LastAnnounced> {
        self.announced.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::CircuitState;

    #[test]
    fn case_167_the_memory_of_forgotten_circuits_is_bounded() {
        let announced = LastAnnounced { state: CircuitState::Open, opened_at: Some(7), hold: None };
        let name = |number: usize| CircuitName::new(format!("c{number}")).unwrap();
        let mut forgotten = Forgotten::default();
        for number in 0..10_000 {
            forgotten.keep(name(number), announced.clone());
            assert!(forgotten.announced.len() <= MOST && forgotten.order.len() <= MOST);
        }
        assert_eq!(forgotten.take(&name(0)), None);
        assert_eq!(forgotten.take(&name(9_999)), Some(announced.clone()));
        assert_eq!(forgotten.take(&name(9_999)), None, "it is given once");
        for _ in 0..10_000 {
            forgotten.keep(name(0), announced.clone());
            assert_eq!(forgotten.take(&name(0)), Some(announced.clone()));
            assert!(forgotten.order.len() <= MOST);
        }
    }
}
