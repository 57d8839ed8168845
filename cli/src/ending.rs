//! How a command ends that has not done what it was asked for.

use std::{fmt, process::ExitCode};

use crate::text::shown;

/// Why a command ends early, and with which exit status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nobody reads the output any more: no fault, and nobody to be told.
    Unread,
    /// It failed.
    Failed(String),
    /// The arguments make no sense.
    Usage(String),
    /// There is no such circuit.
    NotFound(String),
    /// Circuits are open, and the arguments asked to say so by the status.
    SomeOpen,
}

impl Ending {
    /// A failure with this text.
    pub(crate) fn failed(text: impl fmt::Display) -> Self {
        Self::Failed(text.to_string())
    }

    /// Arguments that make no sense, for this reason.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::Usage(text.to_string())
    }

    /// What to write to the standard error.
    pub(crate) fn message(&self) -> Option<String> {
        self.text().map(|text| format!("error: {text}\n"))
    }

    /// Why, for people. Texts of others are among it: proxies answer too.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Unread | Self::SomeOpen => None,
            Self::Failed(text) | Self::Usage(text) | Self::NotFound(text) => {
                Some(shown(&text.replace('\n', " ")))
            }
        }
    }
}

impl From<&Ending> for ExitCode {
    fn from(ending: &Ending) -> Self {
        Self::from(match ending {
            Ending::Unread => 0,
            Ending::Failed(_) => 1,
            Ending::Usage(_) => 2,
            Ending::NotFound(_) => 3,
            Ending::SomeOpen => 4,
        })
    }
}
