//! The three states of a circuit, and the view of it that user code gets.

use std::fmt;

use crate::name::CircuitName;

/// The state of a circuit.
///
/// Displays and serialises as `CLOSED`, `OPEN`, `HALF_OPEN`, the words of the
/// shared item and of Powertools for AWS Lambda (Python).
///
/// ```
/// assert_eq!(fuseboard::CircuitState::HalfOpen.to_string(), "HALF_OPEN");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum CircuitState {
    /// Calls flow, and failures are counted.
    Closed,
    /// Calls are rejected until the recovery timeout has passed.
    Open,
    /// One call at a time, in the whole fleet, probes the dependency; all
    /// others are rejected.
    HalfOpen,
}

impl CircuitState {
    /// Returns the word that the shared item carries for this state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }

    /// Reads the word of the shared item; `None` for anything else.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "CLOSED" => Some(Self::Closed),
            "OPEN" => Some(Self::Open),
            "HALF_OPEN" => Some(Self::HalfOpen),
            _ => None,
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The view of a circuit that user code gets: no owner, no lease, no time to live.
///
/// Fallbacks receive it and rejections carry it, as in the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CircuitInfo {
    /// The circuit's name.
    pub name: CircuitName,
    /// The state by which the call was judged.
    pub state: CircuitState,
    /// The failures that the rule which tripped the circuit had counted in its process at that
    /// moment: in a row, if it was `failure_threshold`. It stays through probes and reopenings, until the circuit closes. 0 while it is
    /// closed, and where this process did not see the trip: it was held, or was first seen
    /// half-open or reopened. It is not a total over the fleet.
    pub failure_count: u64,
    /// The time at which the circuit opened, in whole seconds since the Unix epoch. `None` while
    /// it is closed, or if the shared item has no such time.
    pub opened_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_what_it_writes() {
        for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
            assert_eq!(CircuitState::parse(state.as_str()), Some(state));
        }
        assert_eq!(CircuitState::parse("HALF-OPEN"), None);
        assert_eq!(CircuitState::parse("open"), None);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_state_serialises_as_the_word_of_the_item() {
        for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(text, format!("\"{state}\""));
            assert_eq!(serde_json::from_str::<CircuitState>(&text).unwrap(), state);
        }
        let name = serde_json::from_str::<CircuitName>("\"\"");
        assert!(name.unwrap_err().to_string().contains("at least 1 byte"));
    }
}
