//! What a run is set to. All parts read it, so that they cannot disagree.

use std::time::Duration;

use fuseboard::{Config, ConfigError, OnStoreOutage};

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) registries: usize,
    pub(crate) circuits: usize,
}

impl Plan {
    /// Short, so that circuits trip and recover many times in a minute.
    pub(crate) const FAILURE_THRESHOLD: usize = 5;
    pub(crate) const SUCCESS_THRESHOLD: u32 = 2;
    pub(crate) const RECOVERY_TIMEOUT: Duration = Duration::from_secs(2);
    pub(crate) const CACHE_AGE: Duration = Duration::from_secs(1);
    pub(crate) const STORE_LIMIT: Duration = Duration::from_secs(1);

    /// Tasks that call random circuits of one registry.
    pub(crate) const DRIVERS: usize = 24;
    /// Tasks that check the outcomes of one registry.
    pub(crate) const CHECKERS: usize = 6;
    /// Judged circuits that all registries share.
    pub(crate) const SHARED: usize = 24;
    /// Judged circuits of each registry alone.
    pub(crate) const LONE: usize = 6;
    /// Tasks that call one judged circuit through one registry.
    pub(crate) const CALLERS: usize = 2;

    /// Between two phases of the load, all comes to rest and is measured.
    pub(crate) fn phases(&self) -> usize {
        let phases = self.duration.as_secs().checked_div(30).unwrap_or_default();
        usize::try_from(phases.clamp(1, 4)).unwrap_or(1)
    }

    /// How long each phase lasts.
    pub(crate) fn phase(&self) -> Duration {
        let phases = u32::try_from(self.phases()).unwrap_or(1);
        self.duration.checked_div(phases).unwrap_or_default()
    }

    /// Whether a registry keeps a known OPEN when its store is out.
    pub(crate) fn protects(registry: usize) -> bool {
        registry % 3 == 1
    }

    /// The settings of a registry's circuits.
    pub(crate) fn config(registry: usize) -> Result<Config, ConfigError> {
        let policy = match Self::protects(registry) {
            true => OnStoreOutage::Protect,
            false => OnStoreOutage::FailOpen,
        };
        let threshold = u32::try_from(Self::FAILURE_THRESHOLD).unwrap_or(u32::MAX);
        Config::builder()
            .failure_threshold(threshold)
            .success_threshold(Self::SUCCESS_THRESHOLD)
            .recovery_timeout(Self::RECOVERY_TIMEOUT)
            .local_cache_max_age(Self::CACHE_AGE)
            .store_timeout(Self::STORE_LIMIT)
            .refresh_ahead(registry % 3 != 2)
            .on_store_outage(policy)
            .build()
    }

    /// The circuits that get most of the calls: the first of them.
    pub(crate) fn hot(&self) -> usize {
        self.circuits.div_ceil(40)
    }

    /// From here on no handle is kept: one is made for each visit.
    pub(crate) fn kept(&self) -> usize {
        self.circuits.saturating_sub(self.circuits.div_ceil(20))
    }

    /// The judged circuits: those that all registries share, and those of one each.
    pub(crate) fn judged(&self) -> Vec<(String, Vec<usize>)> {
        let shared = (0..Self::SHARED)
            .map(|number| (format!("judged-{number}"), (0..self.registries).collect()));
        let lone = (0..self.registries).flat_map(|registry| {
            (0..Self::LONE)
                .map(move |number| (format!("judged-{registry}-{number}"), vec![registry]))
        });
        shared.chain(lone).collect()
    }

    /// The name of one of the circuits under load.
    pub(crate) fn name(number: usize) -> String {
        format!("circuit-{number}")
    }
}
