//! The oracle sees what is wrong, and nothing where all is well.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn call(registry: usize, at: u64, probe: bool) -> Entry {
    Entry {
        registry,
        probe: Some(probe),
        started: ms(at),
        admitted: ms(at),
        ended: ms(at + 10),
        returned: ms(at + 20),
        ending: Ending::Failed,
    }
}

/// Registry 0 trips at 1,120; registry 1 has failed twice, and reads it.
fn well() -> Episode {
    let mut entries: Vec<_> = (0..5).map(|n| call(0, 1_000 + n * 25, false)).collect();
    entries.extend([call(1, 1_030, false), call(1, 1_900, false)]);
    entries.extend([call(1, 3_200, true), call(0, 5_300, true)]);
    Episode {
        from: ms(1_000),
        until: ms(7_000),
        entries,
        rejections: Vec::new(),
        registries: vec![0, 1],
        strict: true,
        outages: vec![Vec::new(), Vec::new()],
    }
}

fn rules(episode: &Episode) -> Vec<u8> {
    let mut rules: Vec<_> = episode.judge().iter().map(|wrong| wrong.rule).collect();
    rules.sort_unstable();
    rules
}

fn with(mut episode: Episode, calls: &[Entry]) -> Vec<u8> {
    episode.entries.extend_from_slice(calls);
    rules(&episode)
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    assert!(rules(&well()).is_empty());
    assert!(rules(&Episode { strict: false, ..well() }).is_empty());
}

#[test]
fn a_call_after_the_threshold_is_wrong() {
    assert_eq!(with(well(), &[call(0, 1_130, false)]), [1]);
    let unknown = Entry { probe: None, ..call(0, 1_130, false) };
    assert_eq!(with(well(), &[unknown]), [1], "no probe is due");
    let answered = Entry { ending: Ending::NoVerdict, ..call(0, 6_000, false) };
    assert_eq!(with(well(), &[answered]), [1, 2]);
}

#[test]
fn a_call_that_began_before_the_threshold_returned_is_not() {
    assert!(with(well(), &[call(0, 1_115, false)]).is_empty());
}

#[test]
fn a_streak_that_an_earlier_call_ended_is_none() {
    let straggler = Entry { started: ms(990), ending: Ending::Answered, ..call(0, 1_060, false) };
    assert!(with(well(), &[straggler, call(0, 1_130, false)]).is_empty());
}

#[test]
fn a_call_of_before_that_fails_after_counts_for_the_opening() {
    let mut episode = well();
    let earlier = Entry { started: ms(990), ..call(0, 995, false) };
    episode.entries.push(earlier);
    // The fifth of them now ended at 1,085.
    assert!(with(episode, &[call(0, 3_086, true)]).iter().all(|rule| *rule != 1));
    let mut episode = well();
    episode.entries.retain(|call| call.probe == Some(false));
    assert_eq!(with(episode.clone(), &[call(0, 3_086, true)]), [4]);
    episode.entries.push(earlier);
    assert!(with(episode, &[call(0, 3_086, true)]).is_empty());
}

#[test]
fn a_registry_that_does_not_learn_of_the_opening_is_wrong() {
    assert_eq!(with(well(), &[call(1, 3_121, false)]), [2]);
}

#[test]
fn two_probes_at_once_are_wrong() {
    let second = call(1, 5_305, true);
    assert_eq!(with(well(), &[second]), [3, 4]);
}

#[test]
fn a_probe_before_its_time_is_wrong() {
    assert_eq!(with(well(), &[call(0, 3_109, true)]), [4, 4], "and the next one is");
    assert_eq!(with(well(), &[call(0, 5_400, true)]), [4]);
}

#[test]
fn a_store_that_fails_excuses_only_so_much() {
    let lenient = || Episode { strict: false, ..well() };
    let more = |registry, count: u64| -> Vec<_> {
        (0..count).map(|n| call(registry, 1_200 + n * 5, false)).collect()
    };
    // Six ages of the cache and two more, and one call that also ran, each.
    assert!(with(lenient(), &more(0, 43)).is_empty());
    assert_eq!(with(lenient(), &more(0, 44)), [5]);
    assert!(with(lenient(), &more(1, 16)).is_empty(), "registry 1 protects");
    assert_eq!(with(lenient(), &more(1, 17)), [6]);
}

#[test]
fn an_outage_lets_through_one_streak() {
    let outage = |calls: &[Entry]| {
        let outages = vec![vec![(ms(1_500), ms(6_500))], Vec::new()];
        with(Episode { strict: false, outages, ..well() }, calls)
    };
    let streak: Vec<_> = (0..7).map(|n| call(0, 2_600 + n * 30, false)).collect();
    assert!(outage(&streak[..6]).is_empty());
    assert_eq!(outage(&streak), [7]);
    assert!(outage(&[call(0, 3_200, true)]).is_empty());
    assert_eq!(outage(&[call(0, 3_900, true)]), [7], "too soon before the next");
}

#[test]
fn a_registry_that_protects_lets_nothing_through_in_an_outage() {
    let outage = |calls: &[Entry]| {
        let outages = vec![Vec::new(), vec![(ms(1_500), ms(6_500))]];
        let rejected = Rejection { registry: 1, started: ms(2_600), returned: ms(2_605) };
        let rejections = vec![rejected];
        with(Episode { strict: false, outages, rejections, ..well() }, calls)
    };
    assert!(outage(&[]).is_empty());
    assert!(outage(&[call(1, 2_601, false)]).is_empty(), "it may have been there first");
    assert_eq!(outage(&[call(1, 2_606, false)]), [8]);
}
