//! Which names somebody may have meant.

use crate::text::shown;

/// How many names are told at most.
const MOST: usize = 3;

/// How alike a name has to be, from 0 to 1.
const ALIKE: f64 = 0.85;

/// The names that are most like this one, safe for a terminal.
pub(crate) fn names<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut near: Vec<_> = among
        .map(|other| (likeness(&wanted, &other.to_lowercase()), other))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.cmp(b)));
    near.into_iter().take(MOST).map(|(_, other)| shown(other)).collect()
}

/// One name within the other counts as alike: somebody left out a prefix, or an end.
fn likeness(wanted: &str, other: &str) -> f64 {
    let is_part =
        wanted.len() >= 2 && other.contains(wanted) || other.len() >= 3 && wanted.contains(other);
    if is_part {
        0.95_f64.max(strsim::jaro_winkler(wanted, other))
    } else {
        strsim::jaro_winkler(wanted, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_a_case_and_a_forgotten_prefix_are_near_and_others_are_not() {
        let there = ["payment-backend", "orders/db", "billing/db", "search", "\u{1b}[2Jdb"];
        let near = |name| names(name, there.into_iter());
        assert_eq!(near("paymnet-backend"), ["payment-backend"]);
        assert_eq!(near("Payment-Backend"), ["payment-backend"]);
        assert_eq!(near("orders"), ["orders/db"]);
        assert_eq!(near("quotes"), Vec::<String>::new());
        assert_eq!(near("[2jdb"), ["\\u{1b}[2Jdb"]);
        assert_eq!(names("db", ["db1", "db2", "db3", "db4"].into_iter()).len(), MOST);
    }
}
