//! Names that come from requests: what they show where they are told.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use fuseboard::{Config, RegistryError};
use tracing::field::{Field, Visit};

use crate::support::{
    faulty::Fault,
    memory::{World, fail, settle, trip},
};

/// Each forges something: a line of a log, a terminal's screen, the order of a text.
const FORGERIES: [&str; 4] = [
    "evil\n2026-11-29T00:00:00Z  INFO fuseboard: circuit changed its state circuit=payments",
    "evil\r\nto=OPEN",
    "evil\u{1b}[2J\u{7}\u{9b}2J",
    "evil\u{202e}NEPO\u{2066}\u{2028}line",
];

/// Keeps what the crate logs on this thread, as text.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push_str(&format!(" {field}={value:?}"));
    }
}

impl tracing::Subscriber for Told {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("fuseboard")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

fn is_plain(text: &str) -> bool {
    let reorders = |letter| matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|letter| letter.is_control() || reorders(letter))
}

#[tokio::test(start_paused = true)]
async fn case_168_a_name_forges_neither_a_line_of_the_log_nor_an_error() {
    let told = Told::default();
    let _logs = tracing::subscriber::set_default(told.clone());
    for name in FORGERIES {
        for fault in [Fault::None, Fault::Hang] {
            let process = World::new().process();
            let mut transitions = process.registry.subscribe();
            let breaker = process.registry.breaker(name).unwrap();
            process.store.meets(fault);
            trip(&breaker).await;
            settle().await;
            let open = breaker.admit().await.unwrap_err();
            let own = Config::builder().failure_threshold(1).build().unwrap();
            let refused = process.registry.breaker_with(name, own).unwrap_err();
            assert!(matches!(refused, RegistryError::ConfigMismatch { .. }));
            let transition = transitions.recv().await.unwrap().unwrap();
            let texts = [
                open.to_string(),
                format!("{open:?}"),
                refused.to_string(),
                format!("{refused:?}"),
                format!("{transition:?}"),
                format!("{breaker:?} {:?}", breaker.snapshot()),
                transition.circuit_name.to_string(),
                std::mem::take(&mut *told.0.lock().unwrap()),
            ];
            for text in texts {
                assert!(is_plain(&text) && text.contains("evil"), "{text:?}");
            }
            assert_eq!(transition.circuit_name.as_str(), name, "the key is what it was");
            let is_there = process.store.memory().record(name).is_some();
            assert_eq!(is_there, fault == Fault::None);
            drop(process);
            let _ = fail(&breaker).await;
        }
    }
}
