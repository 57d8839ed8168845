//! What is made of the headers of a busy response.

use std::convert::Infallible;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// How a response with this status and these headers is judged.
fn judged(status: u16, headers: &[(HeaderName, &[u8])]) -> Outcome {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    RetryAfter.classify(&Ok::<_, Infallible>(response))
}

fn asks(seconds: u64) -> Outcome {
    Outcome::OpenFor(Duration::from_secs(seconds))
}

#[test]
fn a_date_is_counted_from_that_of_the_response() {
    for (told, seconds) in [
        ("Sun, 06 Nov 1994 08:49:44 GMT", 7),
        ("Sunday, 06-Nov-94 09:49:37 GMT", 3_600),
        ("Mon Nov  7 08:49:37 1994", 86_400),
        (" Sun, 06 Nov 1994 08:49:44 GMT ", 7),
        (SENT, 0),
        ("Sat, 05 Nov 1994 08:49:37 GMT", 0),
        ("Thu, 06 Nov 0001 08:49:37 GMT", 0),
        ("Sat, 06 Nov 2094 08:49:37 GMT", 3_155_760_000),
    ] {
        let headers = [(RETRY_AFTER, told.as_bytes()), (DATE, SENT.as_bytes())];
        assert_eq!(judged(429, &headers), asks(seconds), "{told}");
        assert_eq!(judged(503, &headers), asks(seconds), "{told}");
        assert_eq!(judged(502, &headers), Outcome::Failure, "{told}");
        assert_eq!(judged(200, &headers), Outcome::Success, "{told}");
    }
}

#[test]
fn a_date_is_counted_from_now_where_the_response_does_not_say_when_it_was_sent() {
    let told = "Fri, 31 Dec 9999 23:59:59 GMT".as_bytes();
    let now = Clock::system().now().wall().as_secs();
    let left = 253_402_300_799 - now;
    for headers in [
        &[(RETRY_AFTER, told)][..],
        &[(RETRY_AFTER, told), (DATE, b"yesterday")],
        &[(RETRY_AFTER, told), (DATE, SENT.as_bytes()), (AGE, b"60")],
    ] {
        let Outcome::OpenFor(time) = judged(429, headers) else { panic!("{headers:?}") };
        assert!((left - 60..=left).contains(&time.as_secs()), "{time:?} for {headers:?}");
    }
    assert_eq!(judged(429, &[(RETRY_AFTER, SENT.as_bytes())]), asks(0));
}

#[test]
fn what_cannot_be_read_is_as_none() {
    for told in ["", " ", "soon", "-1", "1.5", "7 s", "1994-11-06", "Sun, 06 Nov 1994", "\u{e9}"] {
        let headers = [(RETRY_AFTER, told.as_bytes()), (DATE, SENT.as_bytes())];
        assert_eq!(judged(429, &headers), Outcome::Failure, "{told:?}");
    }
}

/// What a header may be: bytes that HTTP lets pass, numbers, and dates that are nearly right.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..40),
        any::<i128>().prop_map(|number| number.to_string().into_bytes()),
        "(Sun|Sunday|Day),? [0-9]{1,2}[ -](Feb|Nov)[ -][0-9]{2,4} [0-9]{2}:[0-6][0-9]:[0-6][0-9] GMT"
            .prop_map(String::into_bytes),
        "Sun (Feb|Nov) [ 0-9][0-9] [0-9]{2}:[0-6][0-9]:[0-6][0-9] [0-9]{4}"
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn case_121_no_header_is_too_strange_to_judge(
        told in value(),
        sent in prop::option::of(value()),
        status in prop_oneof![Just(429_u16), Just(503)],
    ) {
        let mut headers = vec![(RETRY_AFTER, told.as_slice())];
        headers.extend(sent.as_deref().map(|sent| (DATE, sent)));
        let outcome = judged(status, &headers);
        prop_assert!(matches!(outcome, Outcome::Failure | Outcome::OpenFor(_)), "{:?}", outcome);
    }
}
