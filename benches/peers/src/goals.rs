//! The goals, as ratios of what was measured in the same rounds.
//!
//! Some are ratios by nature: to the fastest peer, to the least that knows what
//! is fresh, and of two threads to one. The others were set in nanoseconds, on
//! a machine where `Instant::now` took 22.4 of them: 8 and 12 ns are 0.36 and
//! 0.54 of that. On a slower machine, or with half a processor, both grow.

use crate::{
    contest::{Column, Contest, OURS},
    floors::{COARSE, FRESH, INSTANT},
    peers,
};

/// Of the fastest peer's time, or, if that is more, of the least that knows what
/// is fresh: where atomic additions are cheap, peers without a clock take but twice that.
const OF_THE_FASTEST: f64 = 0.4;
const OF_THE_LEAST: f64 = 1.6;
/// Of the fastest peer's time, in any case.
const OF_THE_FASTEST_AT_MOST: f64 = 0.8;
/// Two threads on one circuit, of one.
const OF_ONE_THREAD: f64 = 1.25;
/// A call on a closed circuit, and all others, of `Instant::now`.
const OF_AN_INSTANT: f64 = 0.36;
const OF_AN_INSTANT_OTHERS: f64 = 0.54;

/// Prints each goal and what was reached; whether all were.
pub(crate) fn judge(contest: &Contest) -> bool {
    let closed = (OURS, Column::Closed);
    let coarse = (COARSE, Column::Floor);
    let fresh = (FRESH, Column::Floor);
    let instant = (INSTANT, Column::Floor);
    let mut met = true;
    let mut hold = |what: &str, reached: Option<f64>, most: f64| {
        let Some(reached) = reached else {
            // A machine that is this busy says nothing about the code.
            println!("unknown {what}: too few rounds were calm to tell");
            return;
        };
        let good = reached <= most;
        met &= good;
        println!(
            "{}  {what}: {reached:.3}, at most {most:.3}",
            if good { "met   " } else { "MISSED" }
        );
    };
    let ratio = |this, that| contest.ratio(this, that).map(|ratio| ratio.median);

    let fastest = fastest(contest);
    let to_the_fastest = |this| ratio(this, (fastest?, Column::Closed));
    let what = format!(
        "admit and success, to the fastest peer, {}",
        fastest.map_or_else(|| "which is unknown".to_owned(), peers::titled)
    );
    hold(&what, to_the_fastest(closed), OF_THE_FASTEST_AT_MOST);
    let most = to_the_fastest(fresh)
        .map_or(OF_THE_LEAST, |least| OF_THE_LEAST.max(OF_THE_FASTEST / least));
    hold("admit and success, to the least that knows what is fresh", ratio(closed, fresh), most);

    if contest.measures(OURS, Column::Together) {
        // What two threads cost each other that share nothing (a core, or the
        // power of both) is the machine's.
        let apart = ratio((COARSE, Column::Apart), coarse).unwrap_or(1.0).max(1.0);
        let together = ratio((OURS, Column::Together), closed).map(|ratio| ratio / apart);
        hold("two threads on one circuit, to one thread", together, OF_ONE_THREAD);
    } else {
        println!("skipped two threads on one circuit: there is one processor");
    }

    for (what, column, most) in [
        ("admit and success", Column::Closed, OF_AN_INSTANT),
        ("call around a ready future", Column::Call, OF_AN_INSTANT_OTHERS),
        ("rejected, with retry_after", Column::Rejected, OF_AN_INSTANT_OTHERS),
    ] {
        hold(&format!("{what}, to Instant::now"), ratio((OURS, column), instant), most);
        hold(&format!("{what}, allocations"), contest.allocations(OURS, column), 0.0);
    }
    met
}

/// The peer that admits and takes a success in the shortest time.
fn fastest(contest: &Contest) -> Option<&'static str> {
    contest
        .peers()
        .filter(|name| *name != OURS)
        .filter_map(|name| Some((name, contest.nanos(name, Column::Closed)?.median)))
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(name, _)| name)
}
