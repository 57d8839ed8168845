//! Which requests are answered: none that the page of another site makes in somebody's browser.
//!
//! Pure: what decides is in the headers, and in what the dashboard was started with.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The header that carries the page's token.
pub(super) const TOKEN: &str = "x-fuseboard-token";

/// What every answer carries. Nothing comes from elsewhere, nothing is inline, no text becomes
/// HTML, and no other page may frame this one.
pub(super) const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Who may ask.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    listens_on: IpAddr,
    names: Vec<String>,
}

impl Guard {
    /// Lets requests through to this address, or to one of these names.
    pub(super) fn new(listens_on: SocketAddr, names: Vec<String>) -> Self {
        Self { listens_on: listens_on.ip().to_canonical(), names }
    }

    /// Says why a request is refused, if it is.
    pub(super) fn refuses(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<&'static str> {
        // A name of somebody else's that leads here is how a page of theirs would read this one.
        let Some(host) = single(headers, &header::HOST).filter(|host| self.knows(host)) else {
            return Some("this is not the host of the dashboard: name it with --host");
        };
        let origin = headers.contains_key(header::ORIGIN);
        let is_own = || {
            single(headers, &header::ORIGIN).is_some_and(|origin| {
                let rest = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
                rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
            })
        };
        if (origin || method == Method::POST) && !is_own() {
            return Some("the request comes from another origin");
        }
        // To follow a link to the page is no harm: nothing of it is told to where the link was.
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        let is_visit = method == Method::GET && path == "/";
        let is_foreign = site.is_some_and(|site| site != b"same-origin" && site != b"none");
        (is_foreign && !is_visit).then_some("the request comes from another site")
    }

    /// Returns `true` for a `Host` that is the dashboard's. The port says nothing: it may be that
    /// of a tunnel.
    fn knows(&self, host: &str) -> bool {
        let name = name_of(host);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_loopback = self.listens_on.is_loopback();
        match address.map(|address| address.to_canonical()) {
            // Nobody can have an address lead elsewhere.
            Ok(address) => {
                address == self.listens_on
                    || self.listens_on.is_unspecified()
                    || (is_loopback && address.is_loopback())
            }
            Err(_) => {
                let name = name.to_ascii_lowercase();
                (name == "localhost" && (is_loopback || self.listens_on.is_unspecified()))
                    || self.names.contains(&name)
            }
        }
    }
}

/// The only value of a header.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Compares a token in a time that does not tell where it differs.
pub(super) fn is_token(token: &str, given: Option<&HeaderValue>) -> bool {
    let given = given.map(HeaderValue::as_bytes).unwrap_or_default();
    let pairs = token.bytes().zip(given);
    token.len() == given.len() && pairs.fold(0, |sum, (one, other)| sum | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listens_on: &str, names: &[&str]) -> Guard {
        let names = names.iter().copied().map(str::to_owned).collect();
        Guard::new(listens_on.parse().unwrap(), names)
    }

    fn is_refused(guard: &Guard, method: &Method, path: &str, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        guard.refuses(method, path, &map).is_some()
    }

    #[test]
    fn a_host_is_known_if_it_is_listened_on_or_named() {
        let loopback = ["127.0.0.1:8017", "localhost", "LOCALHOST:9", "[::1]:8017", "127.0.0.2"];
        let others = ["attacker.example", "192.0.2.1:8017", "", "localhost.attacker.example:8017"];
        let here = guard("127.0.0.1:8017", &[]);
        for host in loopback {
            assert!(!is_refused(&here, &Method::GET, "/", &[("host", host)]), "{host}");
        }
        for host in others {
            assert!(is_refused(&here, &Method::GET, "/", &[("host", host)]), "{host}");
        }
        assert!(is_refused(&here, &Method::GET, "/", &[]));
        let two = [("host", "localhost"), ("host", "localhost")];
        assert!(is_refused(&here, &Method::GET, "/", &two));

        let everywhere = guard("0.0.0.0:80", &["wall.example.com"]);
        for host in ["192.0.2.1", "[2001:db8::1]:80", "localhost", "Wall.Example.com:80"] {
            assert!(!is_refused(&everywhere, &Method::GET, "/", &[("host", host)]), "{host}");
        }
        assert!(is_refused(&everywhere, &Method::GET, "/", &[("host", "attacker.example")]));
        let one = guard("192.0.2.1:80", &[]);
        assert!(!is_refused(&one, &Method::GET, "/", &[("host", "192.0.2.1")]));
        for host in ["127.0.0.1", "localhost", "192.0.2.2"] {
            assert!(is_refused(&one, &Method::GET, "/", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn what_another_origin_asks_for_is_refused() {
        let here = guard("127.0.0.1:8017", &[]);
        let host = ("host", "localhost:8017");
        for origin in [
            "http://attacker.example",
            "http://localhost:3000",
            "http://localhost",
            "null",
            "http://localhost:8017.attacker.example",
            "localhost:8017",
        ] {
            for method in [Method::GET, Method::POST] {
                let headers = [host, ("origin", origin)];
                assert!(is_refused(&here, &method, "/", &headers), "{method} {origin}");
            }
        }
        let own = ("origin", "http://localhost:8017");
        assert!(!is_refused(&here, &Method::POST, "/hold", &[host, own]));
        assert!(is_refused(&here, &Method::POST, "/hold", &[host, own, own]));
        assert!(is_refused(&here, &Method::POST, "/hold", &[host]), "no origin at all");
        for site in ["cross-site", "same-site"] {
            let site = ("sec-fetch-site", site);
            assert!(is_refused(&here, &Method::GET, "/events", &[host, site]));
            assert!(!is_refused(&here, &Method::GET, "/", &[host, site]), "a link leads here");
        }
        assert!(!is_refused(
            &here,
            &Method::GET,
            "/events",
            &[host, ("sec-fetch-site", "same-origin")]
        ));
    }

    #[test]
    fn a_token_is_the_whole_token() {
        let given = |text: &str| text.parse::<HeaderValue>().unwrap();
        assert!(is_token("abc", Some(&given("abc"))));
        for other in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!is_token("abc", Some(&given(other))), "{other}");
        }
        assert!(!is_token("abc", None));
    }
}
