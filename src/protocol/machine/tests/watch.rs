//! What is promised in every world whose clocks are honest, each promise said by what
//! the item shows and by the world's own clock, not by what the machines make of them.

use std::fmt;

use super::{process::*, *};
use crate::protocol::machine::{StoreRequest, StoreResponse};

/// For how long a store that has failed may be left alone, and a little more.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(61);

/// A write that was applied.
#[derive(Clone, Debug)]
struct Write {
    by: usize,
    name: &'static str,
    at: Duration,
    /// What it left.
    record: Record,
    /// How long a lease of its process is.
    lease: Duration,
    /// What it says of when the circuit opened.
    opened_at: Option<i64>,
    /// When the failure came that it was decided for.
    failed_at: Option<Duration>,
}

/// A read that was answered as the item stood.
#[derive(Clone, Debug)]
struct Heard {
    at: Duration,
    record: Option<Record>,
    is_stale: bool,
}

/// A life that has ended.
const GONE: usize = usize::MAX;

#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Time since the start of the world.
    pub(super) clock: Duration,
    /// By how much the clocks of two processes differ at the most.
    pub(super) skew: Duration,
    /// Whether the item and the clocks are left to the world: a test that sets them by
    /// hand is judged by what it asks for itself.
    pub(super) is_strict: bool,
    /// The settings that processes have, or had.
    configs: Vec<Config>,
    log: Vec<Write>,
    /// Who won the right that the item shows, and under which token.
    holder: Option<(usize, LeaseToken)>,
    /// The good probes in a row under the leases since the circuit was open.
    good: u64,
    /// Whether a probe under the token that the item shows has failed.
    has_seen_failure: bool,
    /// Tokens that were deleted with the item, or that an operator ended: their holders
    /// cannot know yet, and may probe beside the next one.
    orphans: Vec<Field<Arc<str>>>,
    heard: Vec<Option<Heard>>,
    /// When a process was last shown the item, by a read or by a write.
    shown_at: Vec<Duration>,
    /// How many writes there were when a process last learned that there is no item.
    knew_nothing: Vec<usize>,
    /// The processes that the store has failed, otherwise than by throttling.
    has_failed: Vec<bool>,
    /// When the store last gave a process reason to leave it alone.
    failed_at: Vec<Option<Duration>>,
}

impl Watch {
    pub(super) fn new(configs: &[Config]) -> Self {
        let processes = configs.len();
        Self {
            clock: Duration::ZERO,
            skew: Duration::ZERO,
            is_strict: false,
            configs: configs.to_vec(),
            log: Vec::new(),
            holder: None,
            good: 0,
            has_seen_failure: false,
            orphans: Vec::new(),
            heard: (0..processes).map(|_| None).collect(),
            failed_at: vec![None; processes],
            shown_at: vec![Duration::ZERO; processes],
            knew_nothing: vec![0; processes],
            has_failed: vec![false; processes],
        }
    }

    pub(super) fn print_state(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Self { clock, log, holder, good, has_seen_failure, orphans, heard, .. } = self;
        let Self { shown_at, knew_nothing, has_failed, failed_at, .. } = self;
        write!(out, "{clock:?}{log:?}{holder:?}{good}{has_seen_failure}{orphans:?}{heard:?}")?;
        write!(out, "{shown_at:?}{knew_nothing:?}{has_failed:?}{failed_at:?}")
    }

    /// A process has these settings from now on.
    pub(super) fn has_settings(&mut self, config: &Config) {
        if !self.configs.contains(config) {
            self.configs.push(config.clone());
        }
    }

    /// The least of what the settings of all processes say.
    fn least<T: Ord>(&self, of: impl Fn(&Config) -> T) -> T {
        self.configs.iter().map(of).min().expect("the first one")
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.clock = self.clock.saturating_add(by);
    }

    /// The item is deleted, or an operator writes over it.
    pub(super) fn ends_tokens_of(&mut self, record: Option<&Record>) {
        if let Some(record) = record {
            self.orphans.push(record.owner.clone());
        }
    }

    pub(super) fn restarted(&mut self, number: usize) {
        for write in &mut self.log {
            write.by = if write.by == number { GONE } else { write.by };
        }
        self.holder = self.holder.take().filter(|(by, _)| *by != number);
        self.heard[number] = None;
        self.failed_at[number] = None;
        self.knew_nothing[number] = 0;
        self.has_failed[number] = false;
    }

    /// An answer of the store reaches a process.
    pub(super) fn answered(
        &mut self,
        number: usize,
        job: Option<&StoreRequest>,
        answer: &StoreResponse,
        is_stale: bool,
    ) {
        if matches!(answer, StoreResponse::Read(_) | StoreResponse::Written(_)) {
            self.shown_at[number] = self.clock;
        }
        let is_throttled = matches!(answer, StoreResponse::Failed(StoreErrorKind::Throttled));
        self.has_failed[number] |= matches!(answer, StoreResponse::Failed(_)) && !is_throttled;
        match (job, answer) {
            (_, StoreResponse::Read(record)) => {
                let record = record.clone();
                self.heard[number] = Some(Heard { at: self.clock, record, is_stale });
            }
            // Reads go on: writes alone are left alone.
            (
                Some(StoreRequest::Write { .. }),
                StoreResponse::Failed(StoreErrorKind::Throttled | StoreErrorKind::Misconfigured),
            ) => {}
            (_, StoreResponse::Failed(_) | StoreResponse::BackedOff(_)) => {
                self.failed_at[number] = Some(self.clock);
                // What was read over a standstill is read again, and was of no use.
                self.heard[number] = None;
            }
            (_, StoreResponse::Written(_)) => {}
        }
    }

    /// A process has taken an answer into account that showed the item.
    /// A circuit that was not closed is probed where its item is gone, but where an operator
    /// says otherwise, or where a trip of this process came too late.
    pub(super) fn has_learned(
        &mut self,
        number: usize,
        process: &Process,
        (state, is_commanded): (CircuitState, bool),
        job: Option<&StoreRequest>,
    ) {
        if process.machine.cache.record().is_some() {
            return;
        }
        self.knew_nothing[number] = self.log.len();
        let trips = matches!(job, Some(StoreRequest::Write { operation, .. })
            if matches!(**operation, Operation::Trip { .. }));
        let may_close = state == CircuitState::Closed || is_commanded || trips;
        let is_closed = process.state() == CircuitState::Closed;
        assert!(!is_closed || may_close, "{number} takes a deleted item for a closing");
    }

    /// Counts the verdicts of probes whose token the item shows.
    pub(super) fn take_verdicts(&mut self, processes: &mut [Process], record: Option<&Record>) {
        for (token, is_good) in processes.iter_mut().flat_map(|process| process.verdicts.drain(..))
        {
            if !record.is_some_and(|record| record.is_leased_to(&token)) {
                continue;
            }
            self.good = if is_good { self.good + 1 } else { 0 };
            self.has_seen_failure |= !is_good;
        }
    }

    /// A circuit closes after K good probes in a row, the last under a token that has seen no
    /// failure.
    fn judge_close(&self) {
        let enough = self.least(|config| config.success_threshold().get());
        assert!(self.good >= enough, "closed after {} good probes of {enough}", self.good);
        assert!(!self.has_seen_failure, "closed under a token that has seen a failure");
    }

    /// A write reaches the store: what is due is decided on what was shown since it is.
    pub(super) fn sent(&self, number: usize, operation: &Operation) {
        let Operation::Elect { seen, .. } = operation else {
            return;
        };
        if !self.is_strict || self.failed_lately(number) {
            return;
        }
        let due_at = seen.opened_at.valid().copied().unwrap_or(0);
        let shown_at = self.unix(self.shown_at[number]) + self.skew + s(1);
        let due_at = Duration::from_secs(u64::try_from(due_at).unwrap_or(0));
        assert!(shown_at >= due_at + self.open_time(seen), "elected without a look");
    }

    /// A write was applied to what was there before.
    pub(super) fn applied(
        &mut self,
        (by, process): (usize, &Process),
        operation: &Operation,
        before: Option<&Record>,
        after: &Record,
    ) {
        if !self.is_strict {
            return;
        }
        match operation {
            Operation::Trip { .. } => self.judge_trip(process, before),
            Operation::Elect { token, .. } => {
                self.judge_election(before.expect("it is conditional"));
                self.holder = Some((by, token.clone()));
            }
            Operation::ElectAbsent { token, .. } => {
                assert_eq!(before, None, "an election of what is absent, and is not");
                self.holder = Some((by, token.clone()));
            }
            Operation::TakeOver { token, .. } => {
                // Its own, of a probe that leaked, ends with the lease to the millisecond.
                if self.holder.as_ref().is_none_or(|(holder, _)| *holder != by) {
                    self.judge_take_over(before.expect("it is conditional"));
                }
                self.holder = Some((by, token.clone()));
            }
            Operation::Close { token, .. }
            | Operation::Reopen { token, .. }
            | Operation::Renew { token, .. }
            | Operation::HandOver { token, .. }
            | Operation::GiveBack { token, .. } => {
                let holder = Some((by, token.clone()));
                assert_eq!(self.holder, holder, "{} by another than the holder", operation.name());
                if matches!(operation, Operation::Close { .. }) {
                    self.judge_close();
                }
            }
            Operation::Hold { .. } | Operation::HoldClosed { .. } | Operation::Release { .. } => {
                self.ends_tokens_of(before);
            }
        }
        if after.state != CircuitState::HalfOpen.into() {
            self.holder = None;
        }
        let elects = matches!(operation, Operation::Elect { .. } | Operation::ElectAbsent { .. });
        if elects || after.state != CircuitState::HalfOpen.into() {
            self.good = 0;
        }
        if before.is_none_or(|before| before.owner != after.owner) {
            self.has_seen_failure = false;
        }
        let opens = after.state == CircuitState::Open.into();
        let opened_at = after.opened_at.valid().copied().filter(|_| opens);
        let failed = process.failed.filter(|failed| Some(failed.stamp()) == opened_at);
        self.log.push(Write {
            by,
            name: operation.name(),
            at: self.clock,
            record: after.clone(),
            lease: process.machine.config().probe_lease(),
            opened_at,
            failed_at: failed.filter(|_| !after.is_held()).map(|failed| failed.clock),
        });
    }

    /// A trip lands in the epoch whose failures were counted: what closed the circuit
    /// was there when the last of them came, but where nothing was known of it yet.
    fn judge_trip(&self, process: &Process, before: Option<&Record>) {
        let (Some(before), Some(failed)) = (before, process.failed) else {
            return;
        };
        let is_same = |write: &&Write| {
            write.record.state == before.state
                && write.record.expires_at == before.expires_at
                && write.record.hold_until == before.hold_until
        };
        let end = before.held_closed_until().and_then(|end| u64::try_from(end).ok());
        let left = s(end.unwrap_or(0)).saturating_sub(self.unix(self.clock));
        assert!(left <= self.skew, "a trip over a hold that lasts for {left:?} more");
        if let Some(write) = self.log.iter().find(is_same)
            && !failed.blind
        {
            let later = write.at.saturating_sub(failed.clock);
            assert_eq!(later, Duration::ZERO, "a trip over a {} that came later", write.name);
        }
    }

    /// Nobody is elected before the recovery time has passed, or an operator's hold.
    fn judge_election(&self, before: &Record) {
        let opened = self.log.iter().rev().find(|write| write.record == *before);
        let opened_at = before.opened_at.valid().copied().unwrap_or(i64::MIN);
        let open_for = match opened.and_then(|write| write.failed_at) {
            Some(failed_at) => self.clock + self.skew - failed_at,
            // Rounded up, but by an operator.
            None if before.is_held() => self.since_stamp(opened_at),
            None => self.since_stamp(opened_at) + s(1),
        };
        let timeout = self.open_time(before);
        assert!(open_for >= timeout, "elected after {open_for:?} of {timeout:?}: {before:?}");
    }

    /// How long an opening lasts at the least, by what its record says: `Backoffs` in these worlds
    /// double, up to four times the recovery timeout.
    fn open_time(&self, record: &Record) -> Duration {
        let timeout = self.least(Config::recovery_timeout);
        let stamp = |field: &Field<i64>| field.valid().copied().filter(|_| !record.is_held());
        if let (Some(until), Some(opened_at)) =
            (stamp(&record.open_until), stamp(&record.opened_at))
        {
            let asked_for = s(u64::try_from(until - opened_at).expect("it ends after it began"));
            return asked_for.min(self.least(Config::open_for_at_most));
        }
        let grows = self.least(|config| config.open_backoff().is_some()) && !record.is_held();
        match record.failed_probes.valid() {
            Some(1) if grows => timeout * 2,
            Some(2..) if grows => timeout * 4,
            _ => timeout,
        }
    }

    /// Nobody takes over a lease that is live: its stamp is past, or it has stood for its
    /// whole length, by the settings of its holder, and the second for which it may have been
    /// used again without a new stamp.
    fn judge_take_over(&self, before: &Record) {
        let is_handed_over = before.success_count.valid().is_some_and(|count| *count > 0);
        let written = self.log.iter().rev().find(|write| write.record == *before);
        let written = written.expect("somebody wrote it");
        let length = if is_handed_over { self.least(Config::handoff) } else { written.lease };
        let stands_for = self.clock - written.at;
        let until = before.lease_until.valid().copied().unwrap_or(i64::MIN);
        let now = (self.unix(self.clock) + self.skew).as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let over = now >= until || stands_for >= length + s(1);
        assert!(over, "a live lease is taken over at {now}: {before:?}");
    }

    /// How long ago a stamp was, at the most: clocks differ.
    fn since_stamp(&self, stamp: i64) -> Duration {
        let stamp = Duration::from_secs(u64::try_from(stamp).unwrap_or(0));
        (self.unix(self.clock) + self.skew).saturating_sub(stamp)
    }

    /// Time since the Unix epoch by an honest clock.
    fn unix(&self, clock: Duration) -> Duration {
        let started = u64::try_from(START_UNIX).expect("a positive time");
        Duration::from_secs(started) + clock
    }

    /// Whether a process may leave the store alone, or not wait for it: it has failed not
    /// long ago, or has not answered since.
    fn failed_lately(&self, number: usize) -> bool {
        self.failed_at[number]
            .is_some_and(|at| self.clock - at <= LONGEST_BACK_OFF || self.shown_at[number] <= at)
    }

    /// What holds after each step.
    pub(super) fn check(&self, processes: &mut [Process]) {
        let is_orphan = |token: &&LeaseToken| self.orphans.contains(&token.as_owner());
        let probing = processes.iter().filter_map(Process::token_probed_under);
        let probing = probing.filter(|token| !is_orphan(token)).count();
        assert!(probing <= 1, "{probing} probes under a live lease");
        if !self.is_strict {
            return;
        }
        for (number, process) in processes.iter().enumerate() {
            self.check_openings(number, process);
            let last_read_unanswered =
                |told: &CircuitTransition| told.cause == Cause::StoreUnreadable;
            let falls_open = process.transitions.iter().any(last_read_unanswered);
            assert!(
                !falls_open || self.has_failed[number],
                "{number} falls open, and the store was throttled at the most"
            );
        }
        for number in 0..processes.len() {
            for lone in std::mem::take(&mut processes[number].lone) {
                self.check_lone(processes, number, lone);
            }
            if let Some(record) = processes[number].contradicted_by.take() {
                self.check_contradiction(number, record.as_ref());
            }
        }
    }

    /// An opening that is told as a process's own is one that it wrote, and each is
    /// told once.
    fn check_openings(&self, number: usize, process: &Process) {
        let told = |of: &CircuitTransition| {
            let is_own = of.origin == Origin::Local && of.to_state == CircuitState::Open;
            is_own.then_some(of.opened_at).flatten()
        };
        let openings: Vec<_> = process.transitions.iter().filter_map(told).collect();
        for opened_at in &openings {
            let same = |write: &&Write| write.by == number && write.opened_at == Some(*opened_at);
            let made = self.log.iter().filter(same).count();
            let told = openings.iter().filter(|other| *other == opened_at).count();
            assert!(
                told <= made,
                "{number} told the opening of {opened_at} {told} times, made {made}"
            );
        }
    }

    /// A probe without the store goes by a read that was made for it while reads work,
    /// and is not begun beside a lease that this read shows to be live.
    fn check_lone(&self, processes: &[Process], number: usize, lone: Lone) {
        let heard = self.heard[number].as_ref().filter(|heard| heard.at >= lone.came);
        let looked = heard.is_some() || self.failed_lately(number);
        assert!(looked, "a lone probe of {number} without a look");
        let may = self.has_failed[number] || !lone.was_stored;
        assert!(may, "{number} probes alone, and the store was throttled at the most");
        let Some(heard) = heard.filter(|heard| !heard.is_stale && !lone.refuted) else {
            return;
        };
        let owner = heard.record.as_ref().map(|record| record.owner.clone());
        let live = processes.iter().filter_map(Process::token_probed_under);
        let beside = live.filter(|token| owner == Some(token.as_owner())).count();
        assert_eq!(beside, 0, "{number} probes alone beside a live lease");
    }

    /// Only closings by others' probes contradict a process, of what it has tripped and
    /// has not closed itself, nor known to be deleted since.
    fn check_contradiction(&self, number: usize, record: Option<&Record>) {
        let is_trip = |write: &Write| write.by == number && write.name == "trip";
        let tripped = self.log.iter().rposition(is_trip).expect("it has tripped");
        assert!(tripped >= self.knew_nothing[number], "{number} was contradicted by a deletion");
        let is_close = |write: &Write| {
            write.by != number && write.name == "close" && Some(&write.record) == record
        };
        let closed = self.log[tripped..].iter().position(is_close);
        let closed = closed.expect("contradicted by nobody's probes");
        let mut until = self.log[tripped..tripped + closed].iter();
        let is_own = until.any(|write| write.by == number && write.name == "close");
        assert!(!is_own, "{number} was contradicted after a closing of its own");
    }

    /// Which writes were applied, by name.
    pub(super) fn writes(&self) -> impl Iterator<Item = &'static str> {
        self.log.iter().map(|write| write.name)
    }
}
