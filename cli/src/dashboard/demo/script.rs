//! The services of the demo, and when each of them fails.

use std::time::Duration;

use fuseboard::{Config, ConfigError};
use tokio::time::sleep;

/// The processes that share the table.
pub(super) const PROCESSES: [&str; 3] = ["shop-1", "shop-2", "checkout-1"];

/// A service that fails and recovers, over and over.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    /// The length of a turn, in seconds.
    turn: u64,
    /// When in a turn it fails, in seconds.
    from: u64,
    to: u64,
    how: How,
}

/// How a service fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// At once.
    Errors,
    /// It answers later than anybody waits.
    Hangs,
}

/// A service was down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Down;

const fn service(name: &'static str, turn: u64, from: u64, to: u64, how: How) -> Service {
    Service { name, turn, from, to, how }
}

/// A service that a minute of failing and recovering belongs to, one that flaps, one that hangs
/// and some that fail for a moment, so that they are in the table: a circuit that never tripped
/// has no item. Two are held by operators.
pub(super) const SERVICES: [Service; 10] = [
    service("payment-backend", 60, 6, 26, How::Errors),
    service("partner-quotes", 16, 3, 8, How::Errors),
    service("search", 100, 20, 45, How::Hangs),
    service("email-sender", 3_600, 3_598, 3_600, How::Errors),
    service("recommendations", 40, 10, 20, How::Errors),
    service("inventory-db", 420, 1, 3, How::Errors),
    service("geocoder", 300, 2, 4, How::Errors),
    service("fraud-score", 540, 1, 4, How::Errors),
    service("invoices", 660, 2, 3, How::Hangs),
    service("shipping-rates", 380, 1, 2, How::Errors),
];

/// The settings of every circuit: short times, so that there is something to see.
pub(super) fn config() -> Result<Config, ConfigError> {
    Config::builder()
        .failure_threshold(5)
        .success_threshold(3)
        .recovery_timeout(Duration::from_secs(4))
        .local_cache_max_age(Duration::from_secs(1))
        .build()
}

impl Service {
    /// Answers a call, so long after the beginning.
    pub(super) async fn answer(&self, since: Duration) -> Result<(), Down> {
        if !self.fails_at(since) {
            sleep(Duration::from_millis(5)).await;
            return Ok(());
        }
        if self.how == How::Hangs {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(20)).await;
        Err(Down)
    }

    fn fails_at(&self, since: Duration) -> bool {
        let second = since.as_secs().checked_rem(self.turn).unwrap_or_default();
        (self.from..self.to).contains(&second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_fails_and_recovers_in_each_turn() {
        for service in &SERVICES {
            let turn = 0..service.turn;
            let fails = turn.filter(|second| service.fails_at(Duration::from_secs(*second)));
            let fails = u64::try_from(fails.count()).unwrap();
            assert_eq!(fails, service.to - service.from, "{}", service.name);
            assert!(fails > 0 && fails < service.turn, "{}", service.name);
        }
    }
}
