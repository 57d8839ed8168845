//! The contract suite, on our own stores and on stores that break it.

use std::sync::atomic::{AtomicBool, Ordering};

use fuseboard::{
    CircuitName, DynamoDbStore, MemoryStore,
    store::{
        Ballot, Consistency, Operation, Record, Store, StoreError, StoreErrorKind, Votes, Written,
        contract::{Violation, verify},
    },
};

use crate::support::engine::{Engine, TABLE};

#[tokio::test(start_paused = true)]
async fn the_memory_store_keeps_the_contract() {
    verify(&MemoryStore::new(), "contract-").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_69_the_dynamodb_store_keeps_the_contract_with_get_and_update_alone() {
    let engine = Engine::new();
    engine.allow_only(&["GetItem", "UpdateItem"]);
    let store = engine.store("A");
    verify(&store, "contract-").await.unwrap();
    let used = engine.count("GetItem") + engine.count("UpdateItem");
    assert_eq!(used, engine.requests().len());
}

#[tokio::test]
async fn the_dynamodb_store_keeps_the_contract_over_http() {
    let engine = Engine::new();
    let server = engine.serve_http().await;
    verify(&DynamoDbStore::new(server.client(), TABLE), "contract-").await.unwrap();
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds_with_other_names_and_a_composite_key() {
    let engine = Engine::empty();
    engine.create_table("shared", &["pk", "sk"]);
    let store = engine
        .store_builder("A", "shared")
        .key_attr("pk")
        .sort_key_attr("sk")
        .static_pk_value("circuits")
        .state_attr("status")
        .half_open_owner_attr("owner")
        .build()
        .unwrap();
    verify(&store, "contract-").await.unwrap();
}

/// A store with one fault.
struct Faulty {
    inner: MemoryStore,
    fault: Fault,
    broken: AtomicBool,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    IgnoresConditions,
    ForgetsWrites,
    HidesRecords,
    ReadsBehind,
    Fails,
    ForgetsBallots,
    KeepsNoVotes,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { inner: MemoryStore::new(), fault, broken: AtomicBool::new(false) }
    }
}

impl Store for Faulty {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        if self.fault == Fault::ReadsBehind && self.broken.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.inner.read(circuit, consistency).await
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let before = self.inner.record(circuit.as_str());
        let written = self.inner.write(circuit, operation).await?;
        self.broken.store(true, Ordering::Relaxed);
        match (self.fault, written) {
            (Fault::IgnoresConditions, Written::Refused(Some(record))) => {
                Ok(Written::Applied(record))
            }
            (Fault::HidesRecords, Written::Refused(_)) => Ok(Written::Refused(None)),
            (Fault::ForgetsWrites, written) => {
                self.inner.set_record(circuit.clone(), before);
                Ok(written)
            }
            (Fault::Fails, _) => Err(StoreError::new(StoreErrorKind::Timeout, "asleep")),
            (_, written) => Ok(written),
        }
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, StoreError> {
        match self.fault {
            Fault::ForgetsBallots => Ok(Some(Votes::new())),
            Fault::KeepsNoVotes => Ok(None),
            Fault::IgnoresConditions
            | Fault::ForgetsWrites
            | Fault::HidesRecords
            | Fault::ReadsBehind
            | Fault::Fails => self.inner.vote(circuit, ballot).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_need_not_keep_votes() {
    verify(&Faulty::new(Fault::KeepsNoVotes), "x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_breaks_the_contract_is_told_what_was_expected() {
    let faults = [
        Fault::IgnoresConditions,
        Fault::ForgetsWrites,
        Fault::HidesRecords,
        Fault::ReadsBehind,
        Fault::ForgetsBallots,
    ];
    for fault in faults {
        let violation = verify(&Faulty::new(fault), "x").await.unwrap_err();
        let Violation::Answer { expected, found, .. } = &violation else {
            panic!("{violation}");
        };
        assert_ne!(expected, found);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_a_violation_with_its_error() {
    let violation = verify(&Faulty::new(Fault::Fails), "x").await.unwrap_err();
    assert!(matches!(violation, Violation::Store { .. }), "{violation}");
}

#[tokio::test(start_paused = true)]
async fn a_prefix_already_in_use_is_a_violation() {
    let store = MemoryStore::new();
    verify(&store, "x").await.unwrap();
    assert!(verify(&store, "x").await.is_err());
}
