//! What a registry keeps of a circuit, and of its end.

use super::*;
use crate::store::MemoryStore;

#[tokio::test]
async fn a_circuit_with_a_new_handle_is_not_forgotten() {
    let builder = BreakerRegistry::builder(MemoryStore::new());
    let registry = builder.disabled(false).spawn().unwrap();
    let breaker = registry.breaker("payments").unwrap();
    let weak = Arc::downgrade(&registry.inner);
    let circuit = Arc::clone(registry.inner.circuits().running.get("payments").unwrap());
    assert!(!forget(&weak, &circuit, &|| true, None));
    assert_eq!(registry.len(), 1);
    drop(breaker);
    assert!(!forget(&weak, &circuit, &|| false, None), "an outcome is left");
    assert_eq!(registry.len(), 1);
    assert!(forget(&weak, &circuit, &|| true, None));
    assert_eq!(registry.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flush_after_shutdown_waits_for_no_outcome() {
    let builder = BreakerRegistry::builder(MemoryStore::new());
    let registry = builder.disabled(false).spawn().unwrap();
    let _breaker = registry.breaker("payments").unwrap();
    registry.shutdown(Duration::from_secs(1)).await.unwrap();
    // Stands for an outcome that was sent after the actor had emptied its mailbox.
    let _pending = registry.inner.environment.pending.start();
    registry.flush(Duration::from_secs(60)).await.unwrap();
}
