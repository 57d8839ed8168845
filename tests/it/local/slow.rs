//! What is logged of settings under which slow calls do not trip.

use std::time::Duration;

use fuseboard::{Config, ConfigBuilder, Rule};
use tracing::Level;

use crate::support::{
    log::Lines,
    memory::{CIRCUIT, World},
};

/// The name of the window in the one line that was logged, if there was one.
fn warned_of(lines: &Lines) -> Option<String> {
    let texts = lines.take_texts();
    assert!(texts.len() <= 1, "{texts:?}");
    let text = texts.into_iter().next()?;
    assert!(text.contains("slow_after"), "{text}");
    ["failure_window", "within", "rate"]
        .into_iter()
        .find(|name| text.contains(name))
        .map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn case_109_a_window_that_slow_calls_outlast_is_warned_of_once() {
    let second = Duration::from_secs(1);
    let short = |config: ConfigBuilder| config.slow_after(second).failure_window(second * 4);
    let lines = Lines::of(Level::WARN);
    let world = World::with(short);
    let process = world.process();
    assert_eq!(warned_of(&lines).as_deref(), Some("failure_window"));
    for name in ["a", "b", CIRCUIT] {
        let _breaker = process.registry.breaker(name).unwrap();
    }
    let config = short(Config::builder()).failure_threshold(7).build().unwrap();
    let _breaker = process.registry.breaker_with("c", config).unwrap();
    assert_eq!(warned_of(&lines), None, "once");

    let process = World::new().process();
    let rule = Rule::within(10, second * 9);
    let config = Config::builder().slow_after(second).also_trip(rule).build().unwrap();
    assert_eq!(warned_of(&lines), None);
    for name in ["a", "b"] {
        let _breaker = process.registry.breaker_with(name, config.clone()).unwrap();
    }
    assert_eq!(warned_of(&lines).as_deref(), Some("within"), "of settings of one circuit");
}
