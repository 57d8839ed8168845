//! What happens to the requests of a process, by the time at which they are sent.

use std::time::Duration;

use super::{dice::Dice, plan::PlannedProcess};
use crate::support::engine::Event;

/// One kind of trouble, and how many requests in a hundred it meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    kind: Kind,
    percent: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Slow,
    Lost,
    LostAnswer,
    Reset,
    Late,
    Doubled,
    Throttled,
    Failing,
    Refused,
    Stale,
    Denied,
    Mixed,
    /// Writes alone are late.
    Straggling,
}

/// What follows from time to time, when everything goes wrong by turns.
const KINDS: &[Kind] = &[
    Kind::Slow,
    Kind::Lost,
    Kind::LostAnswer,
    Kind::Reset,
    Kind::Late,
    Kind::Late,
    Kind::Late,
    Kind::Doubled,
    Kind::Doubled,
    Kind::Throttled,
    Kind::Failing,
    Kind::Refused,
    Kind::Stale,
];

/// The longest that a write lands after its client gave up, or again.
pub(crate) const LATEST: Duration = Duration::from_secs(8);

impl Weather {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let kind = match dice.between(0, 15) {
            0 => Kind::Denied,
            1..=5 => Kind::Mixed,
            _ => dice.pick(KINDS),
        };
        Self { kind, percent: dice.pick(&[20, 50, 80, 100]) }
    }

    /// Half of all writes land late, unheard.
    pub(crate) fn straggling() -> Self {
        Self { kind: Kind::Straggling, percent: 50 }
    }

    fn event(self, dice: &mut Dice, operation: &str) -> Event {
        let spared = matches!(self.kind, Kind::Straggling) && operation == "GetItem";
        if spared || !dice.chance(self.percent) {
            return Event::Pass;
        }
        let kind = if matches!(self.kind, Kind::Mixed) { dice.pick(KINDS) } else { self.kind };
        match kind {
            Kind::Slow => {
                let delay = dice.ms(5, 700);
                if dice.chance(50) { Event::DelayBefore(delay) } else { Event::DelayAfter(delay) }
            }
            Kind::Lost => Event::LoseRequest,
            Kind::LostAnswer => Event::LoseAnswer,
            Kind::Reset => Event::ResetAfter,
            Kind::Late | Kind::Straggling => Event::ApplyLater(dice.ms(100, 8_000)),
            Kind::Doubled => Event::Doubled(dice.ms(1, 8_000)),
            Kind::Throttled => Event::Error(dice.pick(&[
                "ThrottlingException",
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
            ])),
            Kind::Failing => {
                Event::Error(dice.pick(&["InternalServerError", "ServiceUnavailable"]))
            }
            Kind::Refused => Event::RefuseConnection,
            Kind::Stale => Event::StaleBy(dice.ms(50, 2_500)),
            Kind::Denied | Kind::Mixed => Event::Error("AccessDeniedException"),
        }
    }
}

/// What becomes of a request that is sent now.
///
/// The network of a frozen process stands still: what it sends leaves when it
/// thaws, and answers that come meanwhile find nobody who waits.
pub(crate) fn event(
    process: &PlannedProcess,
    dice: &mut Dice,
    at: Duration,
    operation: &str,
) -> Event {
    if let Some(thaw) = process.thaws_at(at) {
        return Event::DelayBefore(thaw - at);
    }
    let weather = process.weather.iter().find(|(span, _)| span.has(at));
    let event = weather.map_or(Event::Pass, |(_, weather)| weather.event(dice, operation));
    if let Event::DelayBefore(delay) | Event::DelayAfter(delay) = event
        && process.thaws_at(at + delay).is_some()
    {
        return Event::ApplyLater(delay);
    }
    event
}
