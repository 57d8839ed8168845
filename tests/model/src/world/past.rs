//! What has happened on the way to a state: whether bounds are wide enough for what
//! they are there for.

use stateright::{Model, Property};

use super::{Step, World};
use crate::{
    item::{Item, State},
    process::{Phase, Process, Verdict},
    shared::Rules,
};

/// The same model, in which the past is remembered.
#[derive(Debug)]
pub(crate) struct Remembered(Rules);

/// A state, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    world: World,
    /// Who was elected so far, while the circuit was open.
    elected: Vec<bool>,
    taken_over: bool,
    closed: bool,
    /// One was elected on an absent item.
    absent_elected: bool,
    /// It was closed by a token that had taken over.
    taker_closed: bool,
}

impl Remembered {
    pub(crate) fn new(rules: Rules) -> Self {
        Self(Rules { apart: true, ..rules })
    }
}

impl Past {
    fn note(&mut self, before: Option<Item>) {
        let Some(item) = self.world.shared.item else { return };
        let was = before.map_or(State::Closed, |before| before.state);
        match (was, item.state) {
            _ if before.is_none() && item.state == State::HalfOpen => self.absent_elected = true,
            (State::Open, State::HalfOpen) => self.note_election(item),
            (State::HalfOpen, State::HalfOpen) => {
                let owner = before.and_then(|before| before.owner);
                self.taken_over |= item.owner != owner;
            }
            // An operator's release has no token.
            (State::HalfOpen, State::Closed) if item.is_closed_by_token() => {
                self.closed = true;
                self.taker_closed |= self.taken_over;
            }
            (_, _) => {}
        }
    }

    fn note_election(&mut self, item: Item) {
        let leads = |token| item.owner == Some(token);
        let processes = self.world.processes.iter();
        for (process, elected) in processes.zip(&mut self.elected) {
            *elected |= process.ours().is_some_and(|ours| leads(ours.token));
        }
    }

    /// All has gone wrong that may.
    fn is_spent(&self) -> bool {
        let shared = &self.world.shared;
        let left = [shared.faults, shared.alone, shared.crashes, shared.deletions, shared.orders];
        left == [0; 5] && [shared.throttles, shared.freezes, shared.ages, shared.stale] == [0; 4]
    }
}

impl Model for Remembered {
    type State = Past;
    type Action = Step;

    fn init_states(&self) -> Vec<Past> {
        let remember = |world: World| {
            let item = world.shared.item;
            let elected = vec![false; world.processes.len()];
            let mut past = Past {
                world,
                elected,
                taken_over: false,
                closed: false,
                absent_elected: false,
                taker_closed: false,
            };
            if let Some(item) = item.filter(|item| item.state == State::HalfOpen) {
                past.note_election(item);
            }
            past
        };
        self.0.init_states().into_iter().map(remember).collect()
    }

    /// Of what may happen, what leads somewhere.
    fn actions(&self, past: &Past, steps: &mut Vec<Step>) {
        self.0.actions(&past.world, steps);
        steps.retain(|step| {
            !matches!(
                step,
                Step::KeepAlive(_)
                    | Step::Probe { verdict: Verdict::None, .. }
                    | Step::Read { stale: true, .. }
                    | Step::Arrive { again: true, .. }
            )
        });
    }

    fn next_state(&self, last: &Past, step: Step) -> Option<Past> {
        let world = self.0.next_state(&last.world, step)?;
        let mut past = Past { world, ..last.clone() };
        past.note(last.world.shared.item);
        Some(past)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::sometimes("two are elected", |_, past: &Past| {
                past.is_spent() && past.elected.iter().filter(|elected| **elected).count() == 2
            }),
            Property::sometimes("one takes over", |_, past: &Past| {
                past.is_spent() && past.taken_over
            }),
            Property::sometimes("one closes", |_, past: &Past| past.is_spent() && past.closed),
            Property::sometimes("one is elected on an absent item", |_, past: &Past| {
                past.is_spent() && past.absent_elected
            }),
            Property::sometimes("one is refuted", |_, past: &Past| {
                let refuted = |env: &Process| env.phase == Phase::Refuted;
                past.is_spent() && past.world.processes.iter().any(refuted)
            }),
            Property::sometimes("a taker closes", |_, past: &Past| {
                past.is_spent() && past.taker_closed
            }),
        ]
    }
}
