//! What is counted of settings that change while circuits run.

use std::{fs, time::Duration};

use ::metrics::set_default_local_recorder;

use super::world::Recorded;
use crate::{BreakerRegistry, Config, MemoryStore, Rule, Settings};

const NAMES: &[&str] = &["fuseboard_reconfigurations", "fuseboard_settings"];

fn parse(text: &str) -> Result<Settings, Box<dyn std::error::Error>> {
    Ok(Config::builder().failure_threshold(text.trim().parse()?).build()?.into())
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_taken_and_refused_are_counted() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn().unwrap();
    let _breaker = registry.breaker("n".repeat(2_048)).unwrap();
    registry.reconfigure(&Settings::default()).unwrap();
    let votes = Config::builder().also_trip(Rule::votes(5, 2)).build().unwrap();
    registry.reconfigure(&votes.into()).unwrap_err();
    let counted = ["taken", "refused"]
        .map(|result| format!("fuseboard_reconfigurations_total result={result} +1"));
    assert_eq!(recorded.take_of(NAMES), counted);
}

#[tokio::test(start_paused = true)]
async fn the_file_that_is_in_force_shows_its_checksum_and_whether_a_newer_one_is_refused() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let path = std::env::temp_dir().join(format!("fuseboard-metrics-{}", std::process::id()));
    let shown = |text: &str, is_refused: u8| {
        let checksum = if text.is_empty() { 0 } else { Settings::checksum_of(text) };
        let checksum = format!("fuseboard_settings_checksum is {checksum}");
        vec![checksum, format!("fuseboard_settings_refused is {is_refused}")]
    };
    let counted =
        |result: &str| vec![format!("fuseboard_reconfigurations_total result={result} +1")];
    fs::write(&path, "5").unwrap();
    let builder = BreakerRegistry::builder(MemoryStore::new()).settings_file(&path, parse);
    let registry = builder.disabled(false).spawn().unwrap();
    assert_eq!(recorded.take_of(NAMES), shown("5", 0));
    let steps = [("7", "taken", "7", 0), ("0", "refused", "7", 1), ("8", "taken", "8", 0)];
    for (text, result, in_force, is_refused) in steps {
        fs::write(&path, text).unwrap();
        tokio::time::sleep(Duration::from_millis(6_100)).await;
        assert_eq!(
            recorded.take_of(NAMES),
            [counted(result), shown(in_force, is_refused)].concat()
        );
    }
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(
        recorded.take_of(NAMES),
        shown("8", 0),
        "set again, so that it is not dropped as idle"
    );
    drop(registry);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(recorded.take_of(NAMES), shown("", 0), "no alarm is left behind");
    fs::remove_file(&path).unwrap();
}
