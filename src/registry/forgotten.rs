//! What was told last of circuits that were forgotten while they were not closed.

use std::collections::{HashMap, VecDeque};

use crate::{name::CircuitName, runtime::actor::LastAnnounced};

/// Of how many circuits it is known.
const MOST: usize = 1_024;

/// The latest circuits that were forgotten while they were not closed.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    told: HashMap<CircuitName, LastAnnounced>,
    /// Names in the order in which they were forgotten; one that was taken stays here.
    order: VecDeque<CircuitName>,
}

impl Forgotten {
    pub(super) fn keep(&mut self, name: CircuitName, told: LastAnnounced) {
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.told.remove(&oldest);
        }
        self.order.push_back(name.clone());
        self.told.insert(name, told);
    }

    pub(super) fn take(&mut self, name: &CircuitName) -> Option<LastAnnounced> {
        self.told.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::CircuitState;

    #[test]
    fn case_167_the_memory_of_forgotten_circuits_is_bounded() {
        let told = LastAnnounced { state: CircuitState::Open, opened_at: Some(7) };
        let name = |number: usize| CircuitName::new(format!("c{number}")).unwrap();
        let mut forgotten = Forgotten::default();
        for number in 0..10_000 {
            forgotten.keep(name(number), told);
            assert!(forgotten.told.len() <= MOST && forgotten.order.len() <= MOST);
        }
        assert_eq!(forgotten.take(&name(0)), None);
        assert_eq!(forgotten.take(&name(9_999)), Some(told));
        assert_eq!(forgotten.take(&name(9_999)), None, "told once");
        for _ in 0..10_000 {
            forgotten.keep(name(0), told);
            assert_eq!(forgotten.take(&name(0)), Some(told));
            assert!(forgotten.order.len() <= MOST);
        }
    }
}
