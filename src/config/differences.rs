//! The settings in which two configurations differ.

use super::Config;
use crate::error::SettingDifference;

impl Config {
    /// Lists the settings in which another configuration differs. A default that follows another
    /// setting is compared by its value. Destructures the whole struct, so that a new setting
    /// cannot be left out.
    pub(crate) fn differences(&self, other: &Self) -> Vec<SettingDifference> {
        let mut found = Vec::new();
        macro_rules! compare {
            ($($setting:ident),+) => {
                let Self { $($setting: _),+ } = self;
                $(if self.$setting() != other.$setting() {
                    found.push(SettingDifference {
                        setting: stringify!($setting),
                        running: format!("{:?}", self.$setting()),
                        requested: format!("{:?}", other.$setting()),
                    });
                })+
            };
        }
        compare!(
            failure_threshold,
            failure_window,
            also_trip,
            slow_after,
            recovery_timeout,
            ramp,
            open_backoff,
            open_for_at_most,
            success_threshold,
            local_cache_max_age,
            refresh_ahead,
            probe_lease,
            handoff,
            election_spread,
            probe_limit,
            store_timeout,
            on_store_outage,
            max_clock_skew,
            await_trip_write,
            count_cancelled,
            dry_run
        );
        found
    }
}
