//! The cause of an outage as a text, for the shared item.
//!
//! People and other versions of this crate read it. Whatever cannot be read is
//! [`Cause::Elsewhere`]: never an error, since anything may stand on the item.

use std::{sync::Arc, time::Duration};

use super::Cause;
use crate::config::{Rule, RuleKind, Share};

const FAILURE_THRESHOLD: &str = "failure_threshold";
const OPEN_FOR: &str = "open_for";
const HOLD: &str = "hold";
const PROBE_FAILED: &str = "probe_failed";

impl Cause {
    /// Returns the text for the item; `None` for a cause that opens no circuit for others, or
    /// that is not known.
    pub(crate) fn to_text(&self) -> Option<Arc<str>> {
        match self {
            Self::FailureThreshold => Some(Arc::from(FAILURE_THRESHOLD)),
            Self::Rule(rule) => Some(Arc::from(rule_to_text(*rule))),
            Self::OpenFor => Some(Arc::from(OPEN_FOR)),
            Self::Hold => Some(Arc::from(HOLD)),
            Self::ProbeFailed => Some(Arc::from(PROBE_FAILED)),
            Self::Refuted
            | Self::RecoveryTimeout
            | Self::TakeOver { .. }
            | Self::ProbesSucceeded
            | Self::Release
            | Self::HoldEnded
            | Self::RecordGone
            | Self::StoreUnreadable
            | Self::WouldOpen
            | Self::Elsewhere
            | Self::Forgotten => None,
        }
    }

    /// Reads the text of an item.
    pub(crate) fn of_text(text: &str) -> Self {
        match text {
            FAILURE_THRESHOLD => Self::FailureThreshold,
            OPEN_FOR => Self::OpenFor,
            HOLD => Self::Hold,
            PROBE_FAILED => Self::ProbeFailed,
            rule => rule_of_text(rule).map_or(Self::Elsewhere, Self::Rule),
        }
    }
}

/// A rule's name and its numbers: `of_last(5,20)`, `within(5,30s)`, `rate(0.5,60s,20)`,
/// `votes(5,2,60s)`.
fn rule_to_text(rule: Rule) -> String {
    match rule.0 {
        RuleKind::OfLast { failures, calls } => format!("of_last({failures},{calls})"),
        RuleKind::Within { failures, window } => format!("within({failures},{})", seconds(window)),
        RuleKind::Rate { share, window, at_least } => {
            format!("rate({},{},{at_least})", share.as_f64(), seconds(window))
        }
        RuleKind::Votes { voters, streak, window } => {
            format!("votes({voters},{streak},{})", seconds(window))
        }
    }
}

/// Reads a rule, unless it is one that no circuit can have.
fn rule_of_text(text: &str) -> Option<Rule> {
    let (name, numbers) = text.strip_suffix(')')?.split_once('(')?;
    let mut numbers = numbers.split(',');
    let kind = match name {
        "of_last" => RuleKind::OfLast {
            failures: numbers.next()?.parse().ok()?,
            calls: numbers.next()?.parse().ok()?,
        },
        "within" => RuleKind::Within {
            failures: numbers.next()?.parse().ok()?,
            window: duration(numbers.next()?)?,
        },
        "rate" => RuleKind::Rate {
            share: Share::new(numbers.next()?.parse().ok()?),
            window: duration(numbers.next()?)?,
            at_least: numbers.next()?.parse().ok()?,
        },
        "votes" => RuleKind::Votes {
            voters: numbers.next()?.parse().ok()?,
            streak: numbers.next()?.parse().ok()?,
            window: duration(numbers.next()?)?,
        },
        _ => return None,
    };
    let rule = Rule(kind);
    (numbers.next().is_none() && rule.check().is_ok()).then_some(rule)
}

/// Seconds with as many decimals as are needed: `30s`, `0.25s`.
fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    let decimals = format!("{:09}", time.subsec_nanos());
    match decimals.trim_end_matches('0') {
        "" => format!("{whole}s"),
        decimals => format!("{whole}.{decimals}s"),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > 9 {
        return None;
    }
    Some(Duration::new(whole.parse().ok()?, format!("{decimals:0<9}").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_reads_back_as_it_was_written() {
        let ms = Duration::from_millis;
        for (cause, text) in [
            (Cause::FailureThreshold, "failure_threshold"),
            (Cause::OpenFor, "open_for"),
            (Cause::Hold, "hold"),
            (Cause::ProbeFailed, "probe_failed"),
            (Cause::Rule(Rule::of_last(5, 20)), "of_last(5,20)"),
            (Cause::Rule(Rule::within(3, ms(30_000))), "within(3,30s)"),
            (Cause::Rule(Rule::votes(5, 2).within(ms(60_000)).into()), "votes(5,2,60s)"),
            (Cause::Rule(Rule::within(3, ms(1))), "within(3,0.001s)"),
            (Cause::Rule(Rule::within(3, Duration::new(7, 1))), "within(3,7.000000001s)"),
            (
                Cause::Rule(Rule::rate(1.0 / 3.0).over(ms(2_500)).into()),
                "rate(0.333333333,2.5s,20)",
            ),
        ] {
            assert_eq!(cause.to_text().as_deref(), Some(text));
            assert_eq!(Cause::of_text(text), cause);
        }
    }

    #[test]
    fn any_other_text_is_a_cause_that_is_not_known() {
        let long = "9".repeat(400);
        for text in [
            "",
            "(",
            ")",
            "()",
            "Hold",
            "elsewhere",
            "a\u{1b}[2J\n",
            "of_last",
            "of_last(5)",
            "of_last(5,20,1)",
            "of_last(0,20)",
            "of_last(21,20)",
            "of_last(-1,20)",
            "within(3,)",
            "within(3,s)",
            "within(3,.s)",
            "within(3,1e9s)",
            "within(3,0s)",
            "within(3,999999999s)",
            "within(3,1.0000000000s)",
            "rate(NaN,60s,20)",
            "rate(9,60s,20)",
            "rate(0.5,60s,1)",
            "rate(inf,60s,20)",
            &long,
        ] {
            assert_eq!(Cause::of_text(text), Cause::Elsewhere, "{text:?}");
        }
        for cause in [Cause::Elsewhere, Cause::Refuted, Cause::StoreUnreadable, Cause::Release] {
            assert_eq!(cause.to_text(), None);
        }
    }
}
