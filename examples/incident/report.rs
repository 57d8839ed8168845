//! What a run came to: its figures, and whether the circuit did its work.

use std::time::Duration;

use fuseboard::{CircuitState, Origin};

use crate::{
    counted::Counts,
    dependency::Reached,
    event::{Announced, Call, Ending},
    plan::Plan,
    view,
};

/// Everything that happened.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) calls: Vec<Call>,
    pub(crate) announced: Vec<Announced>,
    /// What the dependency saw, by environment.
    pub(crate) reached: Vec<Reached>,
    pub(crate) store: Counts,
    pub(crate) end: Duration,
}

impl History {
    /// The state that an environment had the circuit in at the end.
    pub(crate) fn last_state(&self, environment: usize) -> CircuitState {
        let mine = |announced: &&Announced| announced.environment == environment;
        self.announced.iter().rfind(mine).map_or(CircuitState::Closed, |last| last.to)
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    /// Calls offered during the outage. All of them reach a dependency that
    /// has no breaker before it.
    pub(crate) offered: u64,
    /// Calls that did reach it, by its own books.
    pub(crate) reached: u64,
    /// What may reach it: in each environment the failures that trip the
    /// circuit and the calls that were under way meanwhile; and the probes.
    pub(crate) allowed: u64,
    /// From the first failure to the last environment's first rejection.
    pub(crate) protected_after: Option<Duration>,
    pub(crate) probes_failed: u64,
    pub(crate) probes_answered: u64,
    /// From the dependency's return to the write that closed the circuit.
    pub(crate) closed_after: Option<Duration>,
    /// From the dependency's return to the last environment that knew.
    pub(crate) known_after: Option<Duration>,
    pub(crate) made: u64,
    pub(crate) observed: u64,
    pub(crate) calls: u64,
    pub(crate) store: Counts,
    /// Why the run is a failure; empty if it is none.
    pub(crate) faults: Vec<String>,
}

impl Report {
    pub(crate) fn of(plan: &Plan, history: &History) -> Self {
        let count = |wanted: &dyn Fn(&Call) -> bool| {
            total(history.calls.iter().filter(|call| wanted(call)))
        };
        let down = |call: &Call| plan.is_down(call.offered_at);
        let probes_in_outage = count(&|call| down(call) && call.ending.is_probe());
        let under_way: u64 = history
            .reached
            .iter()
            .map(|reached| {
                u64::from(Plan::FAILURE_THRESHOLD).saturating_add(reached.most_in_flight)
            })
            .fold(0, u64::saturating_add);
        let since_return = |at: Duration| at.saturating_sub(plan.returns_at());
        let made = |announced: &&Announced| announced.origin != Origin::Observed;
        let mut report = Self {
            offered: count(&down),
            reached: history.reached.iter().map(|one| one.in_outage).fold(0, u64::saturating_add),
            allowed: under_way.saturating_add(probes_in_outage),
            protected_after: protected_after(plan, history),
            probes_failed: count(&|call| call.ending == Ending::ProbeFailed),
            probes_answered: count(&|call| call.ending == Ending::ProbeAnswered),
            closed_after: closings(plan, history, None).min().map(since_return),
            known_after: known_at(plan, history).map(since_return),
            made: total(history.announced.iter().filter(made)),
            observed: total(history.announced.iter().filter(|announced| !made(announced))),
            calls: count(&|_| true),
            store: history.store,
            faults: Vec::new(),
        };
        report.faults = report.find_faults(plan, history);
        report
    }

    fn find_faults(&self, plan: &Plan, history: &History) -> Vec<String> {
        let mut faults = Vec::new();
        let environments = || 0..plan.environments;
        let named = |which: &dyn Fn(usize) -> bool| {
            environments().filter(|one| which(*one)).map(view::name).collect::<Vec<_>>().join(", ")
        };
        if self.protected_after.is_none() {
            let exposed = named(&|one| first_opening(plan, history, one).is_none());
            faults.push(format!("not protected: the circuit never opened in {exposed}"));
        }
        if self.reached > self.allowed {
            let errors = match self.store.errors {
                0 => String::new(),
                errors => format!(" (DynamoDB failed {errors} times, and the circuit fails open)"),
            };
            faults.push(format!(
                "not protected: {} calls reached the dependency during its outage, and no more \
                 than {} should have{errors}",
                self.reached, self.allowed,
            ));
        }
        let open = named(&|one| history.last_state(one) != CircuitState::Closed);
        if !open.is_empty() {
            faults.push(format!(
                "not recovered: the circuit was not closed in {open}, {:.1} s after the \
                 dependency's return",
                history.end.saturating_sub(plan.returns_at()).as_secs_f64(),
            ));
        }
        faults
    }
}

/// From the first failure until every environment rejects.
fn protected_after(plan: &Plan, history: &History) -> Option<Duration> {
    let failures = history.calls.iter().filter(|call| call.ending == Ending::Failed);
    let first_failure = failures.map(|call| call.ended_at).min()?;
    let openings: Option<Vec<_>> =
        (0..plan.environments).map(|one| first_opening(plan, history, one)).collect();
    Some(openings?.into_iter().max()?.saturating_sub(first_failure))
}

/// When an environment first rejected, in the outage.
fn first_opening(plan: &Plan, history: &History, environment: usize) -> Option<Duration> {
    let openings = history.announced.iter().filter(|announced| {
        announced.environment == environment
            && announced.to != CircuitState::Closed
            && plan.is_down(announced.at)
    });
    openings.map(|announced| announced.at).min()
}

/// When the circuit was announced closed after the dependency's return: by
/// those who closed it, or as one environment learned of it.
fn closings(
    plan: &Plan,
    history: &History,
    known_in: Option<usize>,
) -> impl Iterator<Item = Duration> {
    let returned = plan.returns_at();
    let announced = history.announced.iter().filter(move |announced| {
        announced.to == CircuitState::Closed
            && announced.at >= returned
            && match known_in {
                Some(environment) => announced.environment == environment,
                None => announced.origin != Origin::Observed,
            }
    });
    announced.map(|announced| announced.at)
}

/// When the last environment knew that the circuit was closed.
fn known_at(plan: &Plan, history: &History) -> Option<Duration> {
    let known = (0..plan.environments).map(|one| closings(plan, history, Some(one)).max());
    known.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn total(items: impl Iterator) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
