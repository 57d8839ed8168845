//! Round trips of values.

use proptest::prelude::*;

use super::*;

fn sorted<T: Ord>(mut members: Vec<T>) -> Vec<T> {
    members.sort_unstable();
    members
}

fn any_value() -> impl Strategy<Value = AttributeValue> {
    let texts = || prop::collection::vec(any::<String>(), 0..4).prop_map(sorted);
    let bytes = || prop::collection::vec(any::<u8>(), 0..6);
    let leaf = prop_oneof![
        any::<String>().prop_map(AttributeValue::S),
        "-?[0-9]{1,38}(\\.[0-9]{1,6})?".prop_map(AttributeValue::N),
        bytes().prop_map(|bytes| AttributeValue::B(Blob::new(bytes))),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<bool>().prop_map(AttributeValue::Null),
        texts().prop_map(AttributeValue::Ss),
        texts().prop_map(AttributeValue::Ns),
        prop::collection::vec(bytes(), 0..4).prop_map(|blobs| {
            AttributeValue::Bs(sorted(blobs).into_iter().map(Blob::new).collect())
        }),
    ];
    leaf.prop_recursive(6, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_comes_back_whole(value in any_value()) {
        prop_assert_eq!(decode(&encode(&value)), Some(value));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = decode(&text);
    }

    #[test]
    fn a_cut_text_is_not_a_value(value in any_value(), keep in any::<prop::sample::Index>()) {
        let text = encode(&value);
        let shorter: String = text.chars().take(keep.index(text.chars().count())).collect();
        prop_assert_eq!(decode(&shorter), None);
    }
}

#[test]
fn the_text_reads_like_the_stores_own_json() {
    let map = [
        ("b".to_owned(), AttributeValue::Null(true)),
        ("a".to_owned(), AttributeValue::Ss(vec!["z".to_owned(), "\"\n".to_owned()])),
    ];
    let value = AttributeValue::L(vec![
        AttributeValue::N("12.5".to_owned()),
        AttributeValue::M(map.into()),
        AttributeValue::B(Blob::new([0, 255])),
    ]);
    let text = r#"{"L":[{"N":"12.5"},{"M":{"a":{"SS":["\"\u000a","z"]},"b":{"NULL":true}}},{"B":"00ff"}]}"#;
    assert_eq!(encode(&value), text);
}

#[test]
fn nesting_beyond_what_the_sdk_reads_is_refused_not_followed() {
    let deep = |levels: usize| {
        let inner = r#"{"S":""}"#;
        format!("{}{inner}{}", r#"{"L":["#.repeat(levels), "]}".repeat(levels))
    };
    assert!(decode(&deep(127)).is_some());
    assert_eq!(decode(&deep(128)), None);
    assert_eq!(decode(&deep(1_000_000)), None);
}
