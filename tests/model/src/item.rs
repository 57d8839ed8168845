//! The item and the writes on it.
//!
//! Not abstracted: what a write does. [`Write::on`] builds the crate's own
//! [`Operation`] and asks [`Operation::apply`]. Abstracted: stamps are small
//! numbers, a token is the number of the write that set it, and what cannot be
//! read does not occur. Added: the *epoch*, the number of the write that made
//! the state and its owner, which no condition can see.

use std::sync::Arc;

use fuseboard::{
    CircuitState,
    store::{Field, Hints, HoldTerms, LeaseToken, Operation, Record},
};

use crate::weak::Weak;

/// An instant, or the number of a write. Zero is before everything.
pub(crate) type Stamp = u8;
/// A lease of full length ends so much later than a hand over at its time.
pub(crate) const FULL: u8 = 100;
/// Where the epochs of openings begin.
pub(crate) const OPENED: u8 = 160;
/// The owner of an item that an operator holds.
pub(crate) const HOLD: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum State {
    Closed,
    Open,
    HalfOpen,
}

/// The item; a missing item is `None`, of epoch zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) state: State,
    pub(crate) failures: Option<u8>,
    pub(crate) opened: Option<Stamp>,
    pub(crate) owner: Option<u8>,
    pub(crate) lease: Option<Stamp>,
    pub(crate) expires: Stamp,
    pub(crate) count: Option<u8>,
    pub(crate) released: Option<Stamp>,
    /// When the hold ends that an operator has the circuit under, open or closed.
    pub(crate) held: Option<Stamp>,
    pub(crate) epoch: Stamp,
}

/// A record as a process sees it.
pub(crate) type Seen = Option<Item>;

/// What is asked of the store; `at` is the time of the sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Write {
    /// `counted` is the epoch of the failures; `None` if the opening was told
    /// without the store, and is offered to any closed item.
    Trip {
        seen: Seen,
        opened: Stamp,
        counted: Option<Stamp>,
        at: Stamp,
    },
    Elect {
        seen: Item,
        token: u8,
        at: Stamp,
    },
    ElectAbsent {
        opened: Stamp,
        token: u8,
        at: Stamp,
    },
    TakeOver {
        seen: Item,
        token: u8,
        at: Stamp,
    },
    Renew {
        token: u8,
        lease: Stamp,
        starts: bool,
        at: Stamp,
    },
    HandOver {
        token: u8,
        known: Option<Stamp>,
        count: u8,
        lease: Stamp,
        at: Stamp,
    },
    GiveBack {
        token: u8,
        known: Option<Stamp>,
        count: u8,
        lease: Stamp,
        at: Stamp,
    },
    /// `live` says whether the own lease was not past when it was sent.
    Close {
        token: u8,
        live: bool,
        at: Stamp,
    },
    Reopen {
        token: u8,
        opened: Stamp,
        at: Stamp,
    },
    Hold {
        seen: Seen,
        at: Stamp,
    },
    /// It ends a moment later.
    HoldClosed {
        seen: Seen,
        at: Stamp,
    },
    Release {
        seen: Item,
        at: Stamp,
    },
}

impl Item {
    pub(crate) fn is_closed(seen: Seen) -> bool {
        seen.is_none_or(|item| item.state == State::Closed)
    }

    pub(crate) fn epoch_of(seen: Seen) -> Stamp {
        seen.map_or(0, |item| item.epoch)
    }

    pub(crate) fn is_led_by(&self, token: u8) -> bool {
        self.state == State::HalfOpen && self.owner == Some(token)
    }

    /// Whether an operator holds the circuit closed, and the hold is not over.
    pub(crate) fn is_held_closed(seen: Seen, lapsed: Stamp) -> bool {
        let closed = seen.filter(|item| item.state == State::Closed);
        closed.and_then(|item| item.held).is_some_and(|until| until > lapsed)
    }

    pub(crate) fn is_closed_by_token(&self) -> bool {
        self.state == State::Closed && self.epoch > FULL
    }

    fn record(&self) -> Record {
        let mut record = Record::empty();
        record.state = Field::Valid(match self.state {
            State::Closed => CircuitState::Closed,
            State::Open => CircuitState::Open,
            State::HalfOpen => CircuitState::HalfOpen,
        });
        record.failure_count = field(self.failures.map(u64::from));
        record.opened_at = field(self.opened.map(i64::from));
        record.owner = field(self.owner.map(owner));
        record.lease_until = field(self.lease.map(i64::from));
        record.expires_at = Field::Valid(i64::from(self.expires));
        record.success_count = field(self.count.map(u64::from));
        record.released = field(self.released.map(i64::from));
        record.hold_until = field(self.held.map(i64::from));
        if self.held.is_some() {
            record.hold_reason = Field::Valid(Arc::from("model"));
        }
        if self.held.is_some() && self.state == State::Closed {
            record.hold = Field::Valid(Arc::from("closed"));
        }
        record
    }

    fn of(record: &Record, epoch: Stamp) -> Self {
        let is_held = record.is_held() || record.held_closed_until().is_some();
        let has_end = record.hold_until != Field::Absent;
        // The end of a hold closed that was released, which decides about ramps alone: it is left
        // out, so that a trip has one attribute less to name.
        let is_left = !is_held && record.is_released();
        assert_eq!(is_held, has_end && !is_left, "a hold leaves nothing else behind");
        let owner = record.owner.valid().map(|owner| match owner.strip_prefix("token ") {
            Some(number) => number.parse().unwrap(),
            None => HOLD,
        });
        Self {
            state: match record.state.valid().unwrap() {
                CircuitState::Closed => State::Closed,
                CircuitState::Open => State::Open,
                CircuitState::HalfOpen => State::HalfOpen,
            },
            failures: record.failure_count.valid().map(small),
            opened: record.opened_at.valid().map(small),
            owner,
            lease: record.lease_until.valid().map(small),
            expires: small(record.expires_at.valid().unwrap()),
            count: record.success_count.valid().map(small),
            released: record.released.valid().map(small),
            held: record.hold_until.valid().filter(|_| is_held).map(small),
            epoch,
        }
    }
}

/// The epoch that begins when this token closes the circuit, whichever of its
/// attempts it is that lands.
pub(crate) fn closed_by(token: u8) -> Stamp {
    FULL + token
}

fn field<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Absent, Field::Valid)
}

fn small<T: Copy + TryInto<u8, Error: std::fmt::Debug>>(value: &T) -> u8 {
    (*value).try_into().unwrap()
}

/// A hold may end just when the recovery time would have passed.
fn held_since(seen: Seen) -> Option<Stamp> {
    seen.filter(|item| item.state == State::Open && item.owner != Some(HOLD))?.opened
}

fn owner(number: u8) -> Arc<str> {
    match number {
        HOLD => Arc::from("hold#model"),
        number => Arc::from(format!("token {number}")),
    }
}

fn terms(until: Stamp) -> HoldTerms {
    HoldTerms { until: i64::from(until), by: None, reason: Arc::from("model") }
}

fn token(number: u8) -> LeaseToken {
    LeaseToken::new(owner(number))
}

/// What an election writes: its token, a lease of full length, and when it was.
fn led(number: u8, at: Stamp) -> (LeaseToken, i64, i64) {
    (token(number), i64::from(FULL + at), i64::from(at))
}

impl Write {
    /// The item after the write that is numbered so, or `None` if it is refused.
    pub(crate) fn on(&self, seen: Seen, number: Stamp, weak: Weak) -> Option<Item> {
        let (write, current) = weak.write(*self, seen);
        let before = current.map(|item| item.record());
        let after = write.operation().apply(before.as_ref())?;
        let epoch = match self {
            Self::Close { token, .. } => closed_by(*token),
            // An opening that is offered again is the same opening.
            Self::Trip { opened, .. } | Self::Reopen { opened, .. } => OPENED + opened,
            Self::Elect { .. }
            | Self::ElectAbsent { .. }
            | Self::TakeOver { .. }
            | Self::Hold { .. }
            | Self::Release { .. } => number,
            // One that replaces another of its second, with the same end, is the same hold.
            Self::HoldClosed { at, .. } => {
                let is_same = |item: &Item| {
                    item.state == State::Closed && item.expires == *at && item.held == Some(*at + 1)
                };
                seen.filter(is_same).map_or(number, |item| item.epoch)
            }
            Self::Renew { .. } | Self::HandOver { .. } | Self::GiveBack { .. } => {
                Item::epoch_of(seen)
            }
        };
        Some(weak.item(self, seen, Item::of(&after, epoch)))
    }

    /// Whether the write changes the state or its owner.
    pub(crate) fn opens_an_epoch(&self) -> bool {
        !matches!(self, Self::Renew { .. } | Self::HandOver { .. } | Self::GiveBack { .. })
    }

    /// When the lease of full length was sent that the write sets, if it sets one.
    pub(crate) fn lease(&self) -> Option<Stamp> {
        match self {
            Self::Elect { at, .. }
            | Self::ElectAbsent { at, .. }
            | Self::TakeOver { at, .. }
            | Self::Renew { at, .. } => Some(*at),
            Self::Trip { .. }
            | Self::HandOver { .. }
            | Self::GiveBack { .. }
            | Self::Close { .. }
            | Self::Reopen { .. }
            | Self::Hold { .. }
            | Self::HoldClosed { .. }
            | Self::Release { .. } => None,
        }
    }

    fn operation(&self) -> Operation {
        let record = |seen: &Item| seen.record();
        match self {
            Self::Trip { seen, opened, at, .. } => {
                let (seen, hints) = (seen.as_ref().map(record), Hints::NONE);
                let (opened_at, expires_at) = (i64::from(*opened), i64::from(*at));
                Operation::Trip { seen, failure_count: 2, opened_at, expires_at, hints }
            }
            Self::Elect { seen, token: number, at } => {
                let (token, lease_until, expires_at) = led(*number, *at);
                Operation::Elect { seen: seen.record(), token, lease_until, expires_at }
            }
            Self::ElectAbsent { opened, token: number, at } => {
                let (token, lease_until, expires_at) = led(*number, *at);
                let opened_at = i64::from(*opened);
                let hints = Hints::NONE;
                Operation::ElectAbsent { token, opened_at, lease_until, expires_at, hints }
            }
            Self::TakeOver { seen, token: number, at } => {
                let (token, lease_until, expires_at) = led(*number, *at);
                Operation::TakeOver { seen: seen.record(), token, lease_until, expires_at }
            }
            Self::Renew { token: number, lease, starts, at } => Operation::Renew {
                token: token(*number),
                lease_until: i64::from(*lease),
                expires_at: i64::from(*at),
                starts_probe: *starts,
            },
            Self::HandOver { token: number, known, count, lease, at } => Operation::HandOver {
                token: token(*number),
                known_lease: field(known.map(i64::from)),
                success_count: u64::from(*count),
                lease_until: i64::from(*lease),
                expires_at: i64::from(*at),
            },
            Self::GiveBack { token: number, known, count, lease, at } => Operation::GiveBack {
                token: token(*number),
                known_lease: field(known.map(i64::from)),
                success_count: u64::from(*count),
                lease_until: i64::from(*lease),
                expires_at: i64::from(*at),
            },
            Self::Close { token: number, at, .. } => {
                Operation::Close { token: token(*number), expires_at: i64::from(*at) }
            }
            Self::Reopen { token: number, opened, at } => {
                let (token, hints) = (token(*number), Hints::NONE);
                let (opened_at, expires_at) = (i64::from(*opened), i64::from(*at));
                Operation::Reopen { token, opened_at, expires_at, hints }
            }
            Self::Hold { .. } | Self::HoldClosed { .. } | Self::Release { .. } => self.order(),
        }
    }

    /// The write of an operator.
    fn order(&self) -> Operation {
        match self {
            Self::Hold { seen, at } => Operation::Hold {
                seen: seen.as_ref().map(Item::record),
                terms: terms(*at),
                opened_at: i64::from(held_since(*seen).unwrap_or(*at)),
                expires_at: i64::from(*at),
                hints: Hints::NONE,
            },
            // It expires as a closing of the same second does.
            Self::HoldClosed { seen, at } => Operation::HoldClosed {
                seen: seen.as_ref().map(Item::record),
                terms: terms(*at + 1),
                held_at: i64::from(*at),
                expires_at: i64::from(*at),
            },
            Self::Release { seen, at } => {
                let (released_at, expires_at) = (i64::from(*at), i64::from(*at));
                Operation::Release { seen: seen.record(), released_at, expires_at }
            }
            Self::Trip { .. }
            | Self::Elect { .. }
            | Self::ElectAbsent { .. }
            | Self::TakeOver { .. }
            | Self::Renew { .. }
            | Self::HandOver { .. }
            | Self::GiveBack { .. }
            | Self::Close { .. }
            | Self::Reopen { .. } => self.operation(),
        }
    }
}
