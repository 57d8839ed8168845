//! Who shares a circuit, and how the item tells who probes.

use fuseboard::{BreakerRegistry, Cause, NameError, RegistryBuilder, RegistryError};

use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, World, seconds},
    log::Lines,
};

/// A process whose registry is built in another way.
fn process(
    world: &World,
    label: &str,
    build: impl FnOnce(RegistryBuilder) -> RegistryBuilder,
) -> Process {
    world.process_over(world.engine.network(label), world.engine.store(label), build)
}

#[tokio::test(start_paused = true)]
async fn case_190_two_services_with_one_name_and_different_prefixes_do_not_share() {
    let world = World::new();
    let orders = process(&world, "A", |registry| registry.prefix("orders/"));
    let orders_too = process(&world, "B", |registry| registry.prefix("orders/"));
    let billing = process(&world, "C", |registry| registry.prefix("billing/"));
    let bare = world.named("D");
    orders.trip().await;
    let item = world.engine.get_item(&format!("orders/{CIRCUIT}")).unwrap();
    assert_eq!(item["state"], "OPEN");
    for other in [format!("billing/{CIRCUIT}"), CIRCUIT.to_owned()] {
        assert_eq!(world.engine.get_item(&other), None);
    }
    let Call::Rejected(open) = orders_too.ok().await else { panic!("admitted") };
    assert_eq!(open.circuit().name.as_str(), CIRCUIT, "the name that the program wrote");
    assert_eq!(orders.transitions()[0].circuit_name.as_str(), CIRCUIT);
    for other in [&billing, &bare] {
        assert_eq!(other.ok().await, Call::Ok);
    }
    // A process without a prefix shares what it names in full.
    let full = bare.registry.breaker(format!("orders/{CIRCUIT}")).unwrap();
    assert!(full.admit().await.is_err());
    seconds(31).await;
    for _ in 0..3 {
        assert_eq!(orders_too.ok().await, Call::Ok);
    }
    let item = world.engine.get_item(&format!("orders/{CIRCUIT}")).unwrap();
    assert_eq!(item["state"], "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn case_190_the_item_and_the_log_tell_which_instance_probes() {
    let world = World::new();
    let lines = Lines::of(tracing::Level::INFO);
    let a = process(&world, "A", |registry| registry.instance("task-42"));
    let b = process(&world, "B", |registry| registry.instance("task-43"));
    a.trip().await;
    seconds(31).await;
    let probe = a.circuit().admit().await.unwrap();
    let owner = world.attribute("half_open_owner").as_str().unwrap().to_owned();
    let token = owner.strip_prefix("task-42/").unwrap();
    assert_eq!(token.len(), 32, "{token}");
    let texts = lines.take_texts();
    assert!(texts.iter().all(|text| text.contains("instance=\"task-42\"")), "{texts:?}");
    assert_eq!(texts.len(), 2, "a trip and an election: {texts:?}");
    assert!(b.ok().await.is_rejected(), "tokens are compared as a whole");
    // The prober is gone. Another takes over, and says from whom.
    std::mem::forget(probe);
    seconds(40).await;
    assert_eq!(b.ok().await, Call::Ok);
    let taken = b.transitions().into_iter().find_map(|transition| {
        let Cause::TakeOver { previous_owner, owner } = transition.cause else { return None };
        Some((previous_owner.unwrap(), owner))
    });
    let (before, after) = taken.unwrap();
    assert_eq!(&*before, owner);
    assert!(after.starts_with("task-43/"), "{after}");
    for _ in 0..2 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn a_name_counts_with_its_prefix() {
    let world = World::new();
    let orders = process(&world, "A", |registry| registry.prefix("orders/"));
    assert!(orders.registry.breaker("n".repeat(2_041)).is_ok());
    let refused = orders.registry.breaker("n".repeat(2_042)).map(drop);
    let bytes = 2_049;
    assert_eq!(refused, Err(RegistryError::Name(NameError::TooLong { bytes })));
}

#[tokio::test]
async fn a_prefix_or_an_instance_that_does_not_fit_is_refused_by_name() {
    let builder = || BreakerRegistry::builder(fuseboard::MemoryStore::new());
    for instance in ["", "a/b", "hold#", "a\nb", &"i".repeat(129)] {
        let refused = builder().instance(instance).spawn().map(drop).unwrap_err().to_string();
        assert!(refused.starts_with("instance must have 1 to 128 bytes"), "{refused}");
    }
    assert!(builder().instance("i".repeat(128)).spawn().is_ok());
    let refused = builder().prefix("p".repeat(1_025)).spawn().map(drop).unwrap_err().to_string();
    assert!(refused.starts_with("prefix must have at most 1,024 bytes"), "{refused}");
}
