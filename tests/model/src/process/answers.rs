//! What a process makes of the store's answers.
//!
//! The mirror of `src/protocol/machine/storage`: recognition of own earlier writes,
//! adoption of what is shown, and what stays owed.

use crate::{
    item::{Item, Seen, Stamp, State, Write},
    process::{Answer, CLOSED, Election, Job, Ours, Phase, Process, Stage, Want},
    shared::{Breach, Rules, Shared},
    weak::Weak,
};

/// An opening that the store knows; its stamp is on the item.
const STORED: Phase = Phase::Open { opened: 0, stored: true, counted: 0 };

impl Process {
    /// The answer of the store arrives, and is acted upon.
    pub(crate) fn receive(&mut self, shared: &mut Shared, rules: &Rules) {
        self.out &= !matches!(self.job, Some(Job::Write { answer: Some(_), .. }));
        match self.job.take() {
            Some(Job::Read(found)) => self.adopt(found, shared, rules),
            Some(Job::Write { write, landed, answer: Some(answer), .. }) => match answer {
                Answer::Applied(item) => {
                    self.learn(Some(item), shared, rules);
                    self.applied(&write, landed, shared, rules);
                }
                Answer::Refused(found) => self.refused(&write, landed, found, shared, rules),
            },
            other => self.job = other,
        }
        self.dispatch(shared, rules);
    }

    fn learn(&mut self, found: Seen, shared: &mut Shared, rules: &Rules) {
        self.seen = Some(found);
        self.certain = true;
        self.wrote = false;
        self.hear_of_closing(found, shared, rules);
    }

    pub(super) fn meet_want(&mut self, write: &Write) {
        self.want.take_if(|want| {
            matches!(
                (want, write),
                (Want::Trip, Write::Trip { .. })
                    | (Want::Elect, Write::Elect { .. })
                    | (Want::ElectAbsent, Write::ElectAbsent { .. })
                    | (Want::TakeOver, Write::TakeOver { .. })
                    | (Want::Renew { .. }, Write::Renew { .. })
                    | (Want::HandOver, Write::HandOver { .. })
                    | (Want::GiveBack, Write::GiveBack { .. })
                    | (Want::Close { .. }, Write::Close { .. })
                    | (Want::Reopen { .. }, Write::Reopen { .. })
            )
        });
    }

    pub(super) fn applied(
        &mut self,
        write: &Write,
        landed: u8,
        shared: &mut Shared,
        rules: &Rules,
    ) {
        self.meet_want(write);
        self.wrote = rules.stale > 0;
        self.tripped |= rules.refutes && matches!(write, Write::Trip { .. });
        match (*write, self.phase) {
            (Write::Trip { opened, .. } | Write::Reopen { opened, .. }, phase)
                if !is_opening(phase, opened) && !is_taken_for_newer(write, rules.weak) =>
            {
                // Probed alone since: it is taken like what others write.
                self.adopt(self.record(), shared, rules);
            }
            (Write::Trip { opened, .. } | Write::Reopen { opened, .. }, phase) => {
                if let Phase::Open { .. } = phase {
                    self.phase = STORED;
                }
                let state = self.state();
                if self.told != state {
                    if !is_opening(phase, opened) {
                        shared.breach(Breach::Unfounded);
                    }
                    self.announce_as_ours(state, landed, shared);
                }
            }
            (Write::Elect { .. } | Write::ElectAbsent { .. } | Write::TakeOver { .. }, _) => {
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
                    // Closed here, and opened again for itself alone since.
                    Phase::Refuted => return,
                    Phase::Local { .. } if self.contradicted => return,
                    Phase::Open { .. }
                    | Phase::Ours(_)
                    | Phase::Theirs
                    | Phase::Free
                    | Phase::Gone { .. }
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
            self.learn(found, shared, rules);
            return self.applied(write, landed, shared, rules);
        }
        let ours = self.ours().map(|ours| ours.token);
        let is_our_lease = ours.is_some() && found.is_some_and(|item| item.owner == ours);
        if is_our_lease && matches!(write, Write::HandOver { .. } | Write::GiveBack { .. }) {
            return self.learn(found, shared, rules);
        }
        self.meet_want(write);
        if let Write::Renew { starts, .. } = write
            && is_our_lease
        {
            self.learn(found, shared, rules);
            if *starts && self.want.is_none() {
                self.election = None;
                self.phase = Phase::Free;
            }
            return;
        }
        if matches!(write, Write::Trip { .. }) && Item::is_closed(found) {
            self.learn(found, shared, rules);
            return self.close_here();
        }
        self.adopt(found, shared, rules);
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
    fn adopt(&mut self, found: Seen, shared: &mut Shared, rules: &Rules) {
        let same = self.seen.is_some_and(|before| is_same_epoch(before, found));
        let first = self.seen.is_none();
        let opened = self.record().and_then(|item| item.opened);
        let held = Item::is_held_closed(found, shared.lapsed);
        let owes = self.owes(found, same || first, held, rules);
        self.learn(found, shared, rules);
        if owes {
            return;
        }
        match found {
            None => self.adopt_none(same, first, opened),
            Some(item) => match item.state {
                State::Closed if held => self.close_here(),
                State::Closed => self.adopt_closed(same, first),
                State::Open => {
                    // Nobody has probed it since this process began to, alone.
                    let probes = matches!(self.phase, Phase::Local { .. });
                    let stored = matches!(self.phase, Phase::Open { stored: true, .. });
                    if !(same && (stored || probes)) {
                        self.phase = STORED;
                        self.told = State::Open;
                    }
                }
                State::HalfOpen => self.adopt_half_open(&item, same, shared, rules),
            },
        }
    }

    fn owes(&mut self, found: Seen, same: bool, held: bool, rules: &Rules) -> bool {
        let holds = |token| found.is_some_and(|item| item.is_led_by(token));
        let owes = match self.want {
            Some(Want::Trip) => {
                let told = self.told == State::Open && rules.weak == Weak::ToldTripIsOffered;
                let ever = told || rules.weak == Weak::TripOwedForEver;
                let held = held && rules.weak != Weak::TripOverHold;
                found.is_none() || (same || ever) && Item::is_closed(found) && !held
            }
            Some(Want::Close { token } | Want::Reopen { token, .. }) => holds(token),
            Some(Want::Renew { .. } | Want::HandOver | Want::GiveBack) => {
                self.ours().is_some_and(|ours| holds(ours.token))
            }
            Some(Want::Elect | Want::ElectAbsent | Want::TakeOver) | None => false,
        };
        if !owes {
            self.want = None;
        }
        owes
    }

    fn adopt_none(&mut self, same: bool, first: bool, opened: Option<Stamp>) {
        match self.phase {
            Phase::Closed { .. } => self.adopt_closed(same, first),
            Phase::Local { .. } | Phase::Refuted | Phase::Gone { .. } => {}
            Phase::Open { .. } | Phase::Ours(_) | Phase::Theirs | Phase::Free => {
                self.phase = Phase::Gone { opened: opened.unwrap_or(0) };
            }
        }
    }

    /// A closing of a later epoch ends what is done alone, but not by the refuted.
    fn adopt_closed(&mut self, same: bool, first: bool) {
        match self.phase {
            Phase::Closed { streak, .. } if same || streak == 0 => {}
            Phase::Local { .. } if same || first || self.contradicted => {}
            Phase::Refuted => {}
            Phase::Closed { .. }
            | Phase::Open { .. }
            | Phase::Ours(_)
            | Phase::Theirs
            | Phase::Free
            | Phase::Gone { .. }
            | Phase::Local { .. } => self.close_here(),
        }
    }

    fn adopt_half_open(&mut self, item: &Item, same: bool, shared: &mut Shared, rules: &Rules) {
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
                return self.regain(election, item, rules);
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
            | Phase::Gone { .. }
            | Phase::Local { .. }
            | Phase::Refuted => {
                self.phase = Phase::Theirs;
                self.told = State::HalfOpen;
            }
        }
    }

    fn regain(&mut self, election: Election, item: &Item, rules: &Rules) {
        let unrenewed = rules.weak == Weak::RegainUnrenewed;
        self.phase = Phase::Ours(Ours {
            token: election.token,
            leased: election.at,
            successes: item.count.unwrap_or(0),
            stage: if unrenewed { Stage::Ready } else { Stage::Resting },
        });
        self.told = State::HalfOpen;
    }
}

fn is_own_earlier_write(write: &Write, item: &Item, weak: Weak) -> bool {
    match *write {
        Write::Elect { token, .. }
        | Write::ElectAbsent { token, .. }
        | Write::TakeOver { token, .. } => item.is_led_by(token),
        Write::Renew { token, lease, .. } => item.is_led_by(token) && item.lease == Some(lease),
        Write::HandOver { token, count, lease, .. }
        | Write::GiveBack { token, count, lease, .. } => {
            item.is_led_by(token) && item.lease == Some(lease) && item.count == Some(count)
        }
        Write::Close { live, at, .. } => {
            let live = live || weak == Weak::PastLeaseClosedIsOurs;
            let alike = live && item.expires == at && item.released.is_none();
            item.state == State::Closed && (alike || weak == Weak::AnyClosedIsOurs)
        }
        Write::Trip { .. }
        | Write::Reopen { .. }
        | Write::Hold { .. }
        | Write::HoldClosed { .. }
        | Write::Release { .. } => false,
    }
}

fn is_taken_for_newer(write: &Write, weak: Weak) -> bool {
    let is_trip = matches!(write, Write::Trip { .. });
    weak == if is_trip { Weak::LateTripIsNewer } else { Weak::LateReopenIsNewer }
}

/// Whether this is the opening of that stamp, which nobody has acknowledged yet.
fn is_opening(phase: Phase, stamp: Stamp) -> bool {
    matches!(phase, Phase::Open { opened, stored: false, .. } if opened == stamp)
}

/// What a trip, an election or a takeover of one would find in the other.
fn is_same_epoch(before: Seen, after: Seen) -> bool {
    let whole: fn(&Item) -> (Option<Stamp>, Option<u8>) = |item| match item.state {
        State::Closed => (Some(item.expires), item.held),
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
