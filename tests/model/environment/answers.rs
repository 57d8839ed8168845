//! What an environment makes of the store's answers.
//!
//! The mirror of `src/machine/storage`: recognition of own earlier writes,
//! adoption of what is shown, and what stays owed.

use crate::{
    environment::{Answer, CLOSED, Election, Environment, Job, Ours, Phase, Stage, Want},
    item::{Item, Seen, Stamp, State, Write},
    shared::{Rules, Shared},
    weak::Weak,
};

/// An opening that the store knows; its stamp is on the item.
const STORED: Phase = Phase::Open { opened: 0, stored: true, counted: 0 };

impl Environment {
    /// The answer of the store arrives, and is acted upon.
    pub(crate) fn receive(&mut self, shared: &mut Shared, rules: &Rules) {
        match self.job.take() {
            Some(Job::Read(found)) => self.adopt(found, shared),
            Some(Job::Write { write, landed, answer: Some(answer), .. }) => match answer {
                Answer::Applied(item) => {
                    self.learn(Some(item));
                    self.applied(&write, landed, shared);
                }
                Answer::Refused(found) => self.refused(&write, landed, found, shared, rules),
            },
            other => self.job = other,
        }
        self.dispatch(shared, rules);
    }

    /// The store has failed: what was sent may land yet.
    pub(crate) fn time_out(&mut self) {
        if let Some(Job::Write { write, .. }) = self.job.take() {
            self.certain = false;
            if let Write::Elect { .. } | Write::TakeOver { .. } | Write::Renew { .. } = write {
                self.meet_want(&write);
            }
        }
        self.stand_alone();
    }

    /// What was decided holds here; what the store is owed is kept.
    pub(super) fn stand_alone(&mut self) {
        match (self.want, self.ours()) {
            (Some(Want::Trip | Want::Reopen { .. }), _) => self.told = State::Open,
            (Some(Want::Close { .. }), Some(_)) => {
                self.phase = CLOSED;
                self.told = State::Closed;
            }
            (Some(Want::HandOver), Some(ours)) => {
                self.want = None;
                self.phase = Phase::Ours(Ours { stage: Stage::Resting, ..ours });
            }
            (Some(Want::GiveBack), Some(_)) => {
                self.want = None;
                self.phase = Phase::Free;
            }
            (_, _) => {}
        }
    }

    fn learn(&mut self, found: Seen) {
        self.seen = Some(found);
        self.certain = true;
    }

    fn meet_want(&mut self, write: &Write) {
        self.want.take_if(|want| {
            matches!(
                (want, write),
                (Want::Trip, Write::Trip { .. })
                    | (Want::Elect, Write::Elect { .. })
                    | (Want::TakeOver, Write::TakeOver { .. })
                    | (Want::Renew { .. }, Write::Renew { .. })
                    | (Want::HandOver, Write::HandOver { .. })
                    | (Want::GiveBack, Write::GiveBack { .. })
                    | (Want::Close { .. }, Write::Close { .. })
                    | (Want::Reopen { .. }, Write::Reopen { .. })
            )
        });
    }

    fn applied(&mut self, write: &Write, landed: u8, shared: &mut Shared) {
        self.meet_want(write);
        match (*write, self.phase) {
            (Write::Trip { .. } | Write::Reopen { .. }, phase) => {
                if let Phase::Open { .. } = phase {
                    self.phase = STORED;
                }
                if self.told != State::Open {
                    self.announce_as_ours(State::Open, landed, shared);
                }
            }
            (Write::Elect { .. } | Write::TakeOver { .. }, _) => {
                if let Some(election) = self.election {
                    self.won(election, landed, shared);
                }
            }
            (Write::Renew { at, starts, .. }, Phase::Ours(ours)) => {
                let stage = if starts { Stage::Ready } else { ours.stage };
                self.phase = Phase::Ours(Ours { leased: at, stage, ..ours });
            }
            (Write::HandOver { .. }, Phase::Ours(ours)) => {
                self.phase = Phase::Ours(Ours { stage: Stage::Resting, ..ours });
            }
            (Write::GiveBack { .. }, Phase::Ours(_)) => {
                self.election = None;
                self.phase = Phase::Free;
            }
            (Write::Close { .. }, phase) => {
                self.election = None;
                match phase {
                    Phase::Closed { .. } => {}
                    Phase::Open { .. } if self.want == Some(Want::Trip) => return,
                    Phase::Open { .. }
                    | Phase::Ours(_)
                    | Phase::Theirs
                    | Phase::Free
                    | Phase::Local { .. } => self.phase = CLOSED,
                }
                if self.told != State::Closed {
                    self.announce_as_ours(State::Closed, landed, shared);
                }
            }
            (_, _) => {}
        }
    }

    fn refused(
        &mut self,
        write: &Write,
        landed: u8,
        found: Seen,
        shared: &mut Shared,
        rules: &Rules,
    ) {
        if found.is_some_and(|item| is_own_earlier_write(write, &item, rules.weak)) {
            self.learn(found);
            // Found, and not mended: two closings of one second cannot be told apart.
            let alike = rules.coarse && matches!(write, Write::Close { .. });
            return self.applied(write, if alike { 1 } else { landed }, shared);
        }
        let ours = self.ours().map(|ours| ours.token);
        let is_our_lease = ours.is_some() && found.is_some_and(|item| item.owner == ours);
        if is_our_lease && matches!(write, Write::HandOver { .. } | Write::GiveBack { .. }) {
            return self.learn(found);
        }
        self.meet_want(write);
        if let Write::Renew { starts, .. } = write
            && is_our_lease
        {
            self.learn(found);
            if *starts && self.want.is_none() {
                self.election = None;
                self.phase = Phase::Free;
            }
            return;
        }
        if matches!(write, Write::Trip { .. }) && Item::is_closed(found) {
            self.learn(found);
            return self.close_here();
        }
        self.adopt(found, shared);
    }

    fn won(&mut self, election: Election, landed: u8, shared: &mut Shared) {
        self.want = None;
        self.election = Some(Election { won: true, ..election });
        self.phase = Phase::Ours(Ours {
            token: election.token,
            leased: election.at,
            successes: election.count,
            stage: Stage::Ready,
        });
        self.announce_as_ours(State::HalfOpen, landed, shared);
    }

    fn close_here(&mut self) {
        self.phase = CLOSED;
        self.told = State::Closed;
    }

    /// Takes over what a read or a refused write showed.
    fn adopt(&mut self, found: Seen, shared: &mut Shared) {
        let same = self.seen.is_some_and(|before| is_same_epoch(before, found));
        let owes = self.owes(found, same || self.seen.is_none());
        self.learn(found);
        if owes {
            return;
        }
        match found {
            None => self.adopt_none(same),
            Some(item) => match item.state {
                State::Closed => self.adopt_closed(same),
                State::Open => {
                    if !(same && matches!(self.phase, Phase::Open { stored: true, .. })) {
                        self.phase = STORED;
                        self.told = State::Open;
                    }
                }
                State::HalfOpen => self.adopt_half_open(&item, same, shared),
            },
        }
    }

    fn owes(&mut self, found: Seen, same: bool) -> bool {
        let holds = |token| found.is_some_and(|item| item.is_led_by(token));
        let owes = match self.want {
            Some(Want::Trip) => (same || self.told == State::Open) && Item::is_closed(found),
            Some(Want::Close { token } | Want::Reopen { token, .. }) => holds(token),
            Some(Want::Renew { .. } | Want::HandOver | Want::GiveBack) => {
                self.ours().is_some_and(|ours| holds(ours.token))
            }
            Some(Want::Elect | Want::TakeOver) | None => false,
        };
        if !owes {
            self.want = None;
        }
        owes
    }

    fn adopt_none(&mut self, same: bool) {
        match self.phase {
            Phase::Closed { .. } => self.adopt_closed(same),
            Phase::Local { .. } => {}
            Phase::Open { .. } | Phase::Ours(_) | Phase::Theirs | Phase::Free => {
                self.phase = Phase::Local { successes: 0, probing: false };
                self.told = State::HalfOpen;
            }
        }
    }

    fn adopt_closed(&mut self, same: bool) {
        match self.phase {
            Phase::Closed { streak, .. } if same || streak == 0 => {}
            Phase::Local { .. } => {}
            Phase::Closed { .. }
            | Phase::Open { .. }
            | Phase::Ours(_)
            | Phase::Theirs
            | Phase::Free => self.close_here(),
        }
    }

    fn adopt_half_open(&mut self, item: &Item, same: bool, shared: &mut Shared) {
        if let Some(election) = self.election.filter(|election| item.owner == Some(election.token))
        {
            if let Phase::Ours(ours) = self.phase
                && ours.token == election.token
            {
                if ours.stage == Stage::Settling && self.want.is_none() {
                    self.phase = Phase::Ours(Ours { stage: Stage::Resting, ..ours });
                }
                return;
            }
            if election.won {
                return self.regain(election, item);
            }
            let landed = shared.landed(election.token);
            return self.won(election, landed, shared);
        }
        match self.phase {
            Phase::Theirs | Phase::Free if same => {}
            Phase::Closed { .. }
            | Phase::Open { .. }
            | Phase::Ours(_)
            | Phase::Theirs
            | Phase::Free
            | Phase::Local { .. } => {
                self.phase = Phase::Theirs;
                self.told = State::HalfOpen;
            }
        }
    }

    fn regain(&mut self, election: Election, item: &Item) {
        self.phase = Phase::Ours(Ours {
            token: election.token,
            leased: election.at,
            successes: item.count.unwrap_or(0),
            stage: Stage::Resting,
        });
        self.told = State::HalfOpen;
    }
}

fn is_own_earlier_write(write: &Write, item: &Item, weak: Weak) -> bool {
    match *write {
        Write::Elect { token, .. } | Write::TakeOver { token, .. } => item.is_led_by(token),
        Write::Renew { token, lease, .. } => item.is_led_by(token) && item.lease == Some(lease),
        Write::HandOver { token, count, at, .. } | Write::GiveBack { token, count, at, .. } => {
            item.is_led_by(token) && item.lease == Some(at) && item.count == Some(count)
        }
        Write::Close { at, .. } => {
            item.state == State::Closed && (item.expires == at || weak == Weak::AnyClosedIsOurs)
        }
        Write::Trip { .. } | Write::Reopen { .. } | Write::Hold { .. } | Write::Release { .. } => {
            false
        }
    }
}

/// What a trip, an election or a takeover of one would find in the other.
fn is_same_epoch(before: Seen, after: Seen) -> bool {
    let whole: fn(&Item) -> (Option<Stamp>, Option<u8>) = |item| match item.state {
        State::Closed => (Some(item.expires), None),
        State::Open => (item.opened, item.owner),
        State::HalfOpen => (item.lease, item.owner),
    };
    match (before, after) {
        (None, None) => true,
        (Some(before), Some(after)) => {
            before.state == after.state && whole(&before) == whole(&after)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
