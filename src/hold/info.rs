//! An operator's hold, as a circuit tells it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::name::Escaped;

/// The longest reason, and the longest name of who holds a circuit, in bytes.
pub(crate) const MOST_BYTES: usize = 1_024;

/// Which way a circuit is held. Displays as `open` or `closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum HoldKind {
    /// Calls are rejected, whether or not they would succeed.
    Open,
    /// Calls are admitted, whether or not they fail.
    Closed,
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

/// A hold that a circuit is under, as its item tells it.
///
/// The texts are those of the item, which anybody who may write to the table can set: cut after
/// 1,024 bytes, and otherwise as they stand. `Display` escapes what could forge a line of a log.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # use std::time::{Duration, SystemTime};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # let payments = registry.breaker("payment-backend")?;
/// use fuseboard::{Hold, HoldKind};
///
/// payments.hold(Hold::closed_for(Duration::from_secs(60)).reason("load test").by("ops")).await?;
/// let snapshot = payments.snapshot();
/// let hold = snapshot.hold().ok_or("not held")?;
/// assert_eq!(hold.kind, HoldKind::Closed);
/// assert!(hold.until > SystemTime::now());
/// assert_eq!(hold.to_string(), "held closed by ops: load test");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HoldInfo {
    /// Which way it is held.
    pub kind: HoldKind,
    /// When the hold ends, in whole seconds of the clock that the fleet shares. Where the item
    /// does not tell, since another version of this crate has written it, a
    /// `recovery_timeout` of this process after its `opened_at`.
    pub until: SystemTime,
    /// Who holds it, if they said.
    pub by: Option<Arc<str>>,
    /// Why. May be empty.
    pub reason: Arc<str>,
}

impl HoldInfo {
    /// Makes what an item tells of a hold that ends at this second.
    pub(crate) fn new(
        kind: HoldKind,
        until: i64,
        by: Option<&Arc<str>>,
        reason: &Arc<str>,
    ) -> Self {
        let seconds = Duration::from_secs(u64::try_from(until).unwrap_or(0));
        let until = SystemTime::UNIX_EPOCH.checked_add(seconds);
        Self {
            kind,
            until: until.unwrap_or(SystemTime::UNIX_EPOCH),
            by: by.map(shortened),
            reason: shortened(reason),
        }
    }

    /// Returns the end as the item has it, in seconds since the Unix epoch.
    pub(crate) fn until_seconds(&self) -> u64 {
        self.until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

/// Says all but the end, since a time of day needs a time zone.
impl fmt::Display for HoldInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held {}", self.kind)?;
        if let Some(by) = &self.by {
            write!(f, " by {}", Escaped(by))?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", Escaped(&self.reason)) }
    }
}

fn shortened(text: &Arc<str>) -> Arc<str> {
    match text.get(..text.floor_char_boundary(MOST_BYTES)) {
        Some(short) if short.len() < text.len() => Arc::from(short),
        Some(_) | None => Arc::clone(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_somebody_else_forges_no_line() {
        let text = Arc::from("x\n\u{1b}[2J\u{202e}y");
        let told = HoldInfo::new(HoldKind::Closed, -5, Some(&text), &text);
        let safe = r"x\n\u{1b}[2J\u{202e}y";
        assert_eq!(told.to_string(), format!("held closed by {safe}: {safe}"));
        assert_eq!((told.until, &*told.reason), (SystemTime::UNIX_EPOCH, &*text));
        let far = HoldInfo::new(HoldKind::Open, i64::MAX, None, &Arc::from(""));
        assert_eq!(far.to_string(), "held open");
        let later = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1 << 40)).unwrap();
        assert!(far.until >= later);
    }
}
