//! The payment dependency: answers, fails for the time of its outage, and
//! keeps the books on who called.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{plan::Plan, stopwatch::Stopwatch};

/// The dependency failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Down;

/// What the dependency saw of one environment.
#[derive(Debug, Default)]
struct Account {
    in_outage: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
}

/// A payment service in this process. Clones are the same service.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    plan: Plan,
    stopwatch: Stopwatch,
    accounts: Arc<[Account]>,
}

/// What reached the dependency from one environment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    /// Calls that arrived during the outage.
    pub(crate) in_outage: u64,
    /// The most calls that it was at work on at once, during the outage.
    pub(crate) most_in_flight: u64,
}

impl Dependency {
    pub(crate) fn new(plan: Plan, stopwatch: Stopwatch) -> Self {
        let accounts = (0..plan.environments).map(|_| Account::default()).collect();
        Self { plan, stopwatch, accounts }
    }

    /// Takes a payment.
    pub(crate) async fn charge(&self, environment: usize) -> Result<(), Down> {
        let down = self.plan.is_down(self.stopwatch.elapsed());
        let account = self.accounts.get(environment);
        if let Some(account) = account {
            let in_flight = account.in_flight.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if down {
                account.in_outage.fetch_add(1, Ordering::Relaxed);
                account.most_in_flight.fetch_max(in_flight, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(if down { Plan::FAILS_IN } else { Plan::ANSWERS_IN }).await;
        if let Some(account) = account {
            account.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        if down { Err(Down) } else { Ok(()) }
    }

    /// What reached it, by environment.
    pub(crate) fn reached(&self) -> Vec<Reached> {
        self.accounts
            .iter()
            .map(|account| Reached {
                in_outage: account.in_outage.load(Ordering::Relaxed),
                most_in_flight: account.most_in_flight.load(Ordering::Relaxed),
            })
            .collect()
    }
}
