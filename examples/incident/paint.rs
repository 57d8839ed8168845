//! Colours, where the terminal has them.

use fuseboard::CircuitState;

use crate::event::Ending;

/// Whether text may carry colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Colours,
    Plain,
}

/// A way to set text off; the number is that of the ANSI escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ink(&'static str);

impl Ink {
    pub(crate) const DIM: Self = Self("2");
    pub(crate) const BOLD: Self = Self("1");
    pub(crate) const GOOD: Self = Self("32");
    pub(crate) const BAD: Self = Self("1;31");
    const WARY: Self = Self("33");
    const PROBE: Self = Self("1;36");
    const LOST_PROBE: Self = Self("1;35");
}

impl From<Ending> for Ink {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Answered => Self::GOOD,
            Ending::Rejected => Self::WARY,
            Ending::Failed => Self::BAD,
            Ending::ProbeFailed => Self::LOST_PROBE,
            Ending::ProbeAnswered => Self::PROBE,
        }
    }
}

impl From<CircuitState> for Ink {
    fn from(state: CircuitState) -> Self {
        match state {
            CircuitState::Closed => Self::GOOD,
            CircuitState::Open => Self::BAD,
            CircuitState::HalfOpen => Self::WARY,
        }
    }
}

impl Paint {
    /// Paints a text.
    pub(crate) fn text(self, ink: impl Into<Ink>, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colours => format!("\x1b[{}m{text}\x1b[0m", ink.into().0),
        }
    }

    /// Paints letters, with one escape for a run of the same ink.
    pub(crate) fn letters(self, letters: impl Iterator<Item = (Option<Ink>, char)>) -> String {
        let mut line = String::new();
        let mut run = String::new();
        let mut current = None;
        for (ink, letter) in letters {
            if ink != current {
                self.flush(&mut line, &mut run, current);
                current = ink;
            }
            run.push(letter);
        }
        self.flush(&mut line, &mut run, current);
        line
    }

    fn flush(self, line: &mut String, run: &mut String, ink: Option<Ink>) {
        match ink {
            Some(ink) if !run.is_empty() => line.push_str(&self.text(ink, run)),
            Some(_) | None => line.push_str(run),
        }
        run.clear();
    }
}
