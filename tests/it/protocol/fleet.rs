//! A fleet with default settings, spread and all, over the wire.

use std::time::Duration;

use fuseboard::{Config, ConfigBuilder, Hold, OwnedPermit};

use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, START, World},
    engine::Event,
};

impl World {
    /// A process as most are: nothing is set.
    fn ordinary(&self, label: &str) -> Process {
        self.named_over(label, self.engine.store(label), Config::default())
    }

    fn ordinary_with(
        &self,
        label: &str,
        change: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
    ) -> Process {
        let config = change(Config::builder()).build().unwrap();
        self.named_over(label, self.engine.store(label), config)
    }

    fn number(&self, attribute: &str) -> i64 {
        self.attribute(attribute).as_i64().unwrap_or_else(|| panic!("no {attribute}"))
    }
}

async fn tenths(tenths: u64) {
    tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
}

/// Asks each in turn, every tenth of a second, until one may probe.
async fn probe(fleet: &[&Process]) -> (usize, OwnedPermit) {
    for _ in 0..700 {
        for (number, process) in fleet.iter().enumerate() {
            if let Ok(permit) = process.circuit().admit_owned().await
                && permit.is_probe()
            {
                return (number, permit);
            }
        }
        tenths(1).await;
    }
    panic!("nobody may probe");
}

#[tokio::test(start_paused = true)]
async fn case_93_a_process_that_was_contradicted_sends_nothing() {
    let world = World::new();
    let (a, b) = (world.ordinary("A"), world.ordinary("B"));
    assert_eq!(b.ok().await, Call::Ok);
    a.trip().await;
    for _ in 0..3 {
        let (number, permit) = probe(&[&b]).await;
        assert_eq!(number, 0);
        permit.success().settled().await;
    }
    assert_eq!(world.attribute("state"), "CLOSED");
    tenths(60).await;
    while a.call(async { Err("down") }).await.is_rejected() {
        tenths(1).await;
    }
    let item = world.item();
    let writes = world.engine.count_of("A", "UpdateItem");
    for _ in 0..2_000 {
        let _ = a.fail().await;
        assert_eq!(b.ok().await, Call::Ok);
        tenths(1).await;
    }
    assert_eq!(world.item(), item);
    assert_eq!(world.engine.count_of("A", "UpdateItem"), writes);
}

#[tokio::test(start_paused = true)]
async fn case_156_over_a_slow_wire_the_circuit_closes() {
    for count in 1..=3 {
        let world = World::new();
        let labels = ["A", "B", "C"];
        let fleet: Vec<_> = labels[..count].iter().map(|label| world.ordinary(label)).collect();
        for process in &fleet {
            assert_eq!(process.ok().await, Call::Ok);
        }
        fleet[0].trip().await;
        for label in labels {
            world.engine.network(label).always(Event::DelayAfter(Duration::from_millis(280)));
        }
        world.engine.clear();
        let mut waited = 0;
        while world.attribute("state") != "CLOSED" {
            for process in &fleet {
                let _ = process.ok().await;
            }
            tenths(1).await;
            waited += 1;
            assert!(waited < 650, "{count} processes: not closed");
        }
        // Three probes; of those that are due at once all but one are refused.
        let writes = world.engine.count("UpdateItem");
        assert!(writes < 6 + count, "{count} processes: {writes} writes");
    }
}

#[tokio::test(start_paused = true)]
async fn case_196_a_process_that_was_cut_off_shuts_no_healthy_fleet() {
    let world = World::new();
    let (a, b) = (world.ordinary("A"), world.ordinary("B"));
    b.trip().await;
    b.circuit().release().await.unwrap();
    assert_eq!(a.ok().await, Call::Ok);
    let network = world.engine.network("A");
    network.always(Event::RefuseConnection);
    tenths(10).await;
    a.trip().await;
    tenths(12_000).await;
    let item = world.item();
    network.heal();
    for _ in 0..600 {
        assert_eq!(b.ok().await, Call::Ok);
        let _ = a.ok().await;
        tenths(1).await;
    }
    assert_eq!(world.item(), item);
    assert_eq!(a.ok().await, Call::Ok);
}

#[tokio::test(start_paused = true)]
async fn case_204_an_item_outlives_its_lease_its_opening_and_a_hold_by_an_hour() {
    for (timeout, lease) in [(1_000, 86_400), (2_500, 3_600), (30_000, 30), (7_200_000, 30)] {
        let world = World::new();
        let settings = |config: ConfigBuilder| {
            config
                .recovery_timeout(Duration::from_millis(timeout))
                .probe_lease(Duration::from_secs(lease))
        };
        let (a, b) = (world.ordinary_with("A", settings), world.ordinary_with("B", settings));
        let open_seconds = i64::try_from(timeout.div_ceil(1_000)).unwrap();
        a.trip().await;
        assert!(world.number("expiration") >= START + open_seconds + 3_600);
        tokio::time::sleep(Duration::from_millis(timeout)).await;
        let outlives = |what: &str| {
            let least = world.number("probe_lease_expiry") + 3_600;
            assert!(world.number("expiration") >= least, "{what}: {timeout} ms, {lease} s");
        };
        let (_, permit) = probe(&[&a, &b]).await;
        outlives("elected");
        tokio::time::sleep(Duration::from_secs(lease / 2)).await;
        permit.keep_alive();
        tenths(1).await;
        outlives("renewed");
        permit.success().settled().await;
        outlives("handed over");
        std::mem::forget(probe(&[&a, &b]).await.1);
        outlives("renewed for a probe");
        // A leaked probe: the other takes over.
        if lease <= 3_600 {
            tokio::time::sleep(Duration::from_secs(lease + 10)).await;
            std::mem::forget(probe(&[&b, &a]).await.1);
            outlives("taken over");
        }
        let until = world.clock.wall() + Duration::from_secs(1_000_000);
        a.circuit().hold(Hold::open(until).reason("moving")).await.unwrap();
        let until = until.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(world.number("expiration") >= i64::try_from(until).unwrap() + 3_600, "held");
    }
}

#[tokio::test(start_paused = true)]
async fn case_207_an_item_that_is_deleted_is_probed_by_one_of_fifty_at_a_time() {
    let world = World::new();
    let fleet: Vec<_> = (0..50).map(|number| world.ordinary(&format!("E{number}"))).collect();
    fleet[0].trip().await;
    for process in &fleet {
        let _ = process.ok().await;
    }
    tenths(10).await;
    for process in &fleet {
        assert!(process.ok().await.is_rejected());
    }
    world.engine.delete_item(CIRCUIT);
    let mut held: Option<(OwnedPermit, u64)> = None;
    let mut probes = 0;
    for tenth in 0..900 {
        let calls = fleet.iter().map(|process| process.circuit().admit_owned());
        for permit in futures::future::join_all(calls).await.into_iter().flatten() {
            if permit.is_probe() {
                assert!(held.is_none(), "two probes at once, {tenth}");
                held = Some((permit, tenth));
                probes += 1;
            }
        }
        tenths(1).await;
        if held.as_ref().is_some_and(|(_, since)| tenth - since >= 5) {
            held.take().unwrap().0.success().settled().await;
        }
        if world.attribute("state") == "CLOSED" {
            break;
        }
    }
    assert_eq!((probes, world.attribute("state")), (3, "CLOSED".into()));
    tenths(60).await;
    for process in &fleet {
        let _ = process.ok().await;
        tenths(1).await;
        assert_eq!(process.ok().await, Call::Ok);
    }
}
