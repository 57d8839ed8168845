//! A run in words: for who replays it, and to compare two runs.

use std::collections::HashMap;

use super::{
    check::Story,
    item::Item,
    world::{Call, Run},
};

/// Every request, applied write, announcement and call of a run in order of
/// time, one a line. Tokens are numbered as they appear.
pub(crate) fn tell(run: &Run) -> Vec<String> {
    let story = Story::new(run);
    let mut lines = Vec::new();
    for request in &run.requests {
        let at = request.at.saturating_duration_since(run.start);
        let fate = format!("{:?}", request.fate);
        lines.push((at, format!("{} sends {}: {fate}", request.client, request.operation)));
    }
    let mut tokens = HashMap::new();
    for (number, step) in story.steps.iter().enumerate() {
        let after = step.after.as_ref().map(|item| short(item, &mut tokens));
        let (client, after) = (&step.client, after.unwrap_or_default());
        lines.push((step.at, format!("write {number} of {client}: {:?} {after}", step.kind)));
    }
    for told in &run.notes.told {
        let it = &told.transition;
        let what = format!("{} to {} {:?}", it.from_state, it.to_state, it.origin);
        lines.push((told.at, format!("{} tells {what}", told.client)));
    }
    for call in &run.notes.calls {
        lines.push((call.asked, describe(call)));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(at, line)| format!("{:>9.3} {line}", at.as_secs_f64())).collect()
}

fn short(item: &Item, tokens: &mut HashMap<String, usize>) -> String {
    let fresh = tokens.len();
    let owner = item.owner.as_ref().map(|owner| *tokens.entry(owner.clone()).or_insert(fresh));
    let Item { state, opened_at, lease, expires_at, good, failed_probes, open_until, .. } = item;
    format!(
        "state {state:?} opened {opened_at:?} token {owner:?} lease {lease:?} \
         expires {expires_at:?} good {good:?} \
         failed probes {failed_probes:?} until {open_until:?}"
    )
}

fn describe(call: &Call) -> String {
    let kind = if call.probe { "probes" } else { "calls" };
    let end = match (call.begun, call.ended) {
        (None, _) => format!("rejected {:?}", call.rejected),
        (Some(begun), None) => format!("from {begun:?}, never ends"),
        (Some(begun), Some(ended)) => {
            let Call { good, slow, asked_for, .. } = call;
            format!("from {begun:?} to {ended:?}, good {good}, slow {slow}, asks {asked_for:?}")
        }
    };
    format!("{} {kind}: {end}", call.client)
}
