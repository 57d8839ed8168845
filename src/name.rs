//! The name of a circuit, checked once where it enters the crate.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

/// The longest circuit name, in bytes: the limit that DynamoDB sets on a
/// partition key ("Constraints in Amazon DynamoDB", AWS documentation).
pub const MAX_NAME_BYTES: usize = 2_048;

/// A circuit name that the shared item cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no bytes.
    #[error("a circuit name needs at least 1 byte, got an empty one")]
    Empty,
    /// The name has more than 2,048 bytes.
    #[error("a circuit name has at most 2,048 bytes, got {bytes}")]
    TooLong {
        /// The length of the name, in bytes.
        bytes: usize,
    },
    /// The name ends as the key of an item that lies beside a circuit's own: in `#votes` or
    /// `#dry-run`.
    #[error("a circuit name must not end in {suffix:?}, as keys beside a circuit's own do")]
    Reserved {
        /// The reserved end.
        suffix: &'static str,
    },
}

/// What the key of the item of a circuit in a dry run ends in.
pub(crate) const DRY_RUN_SUFFIX: &str = "#dry-run";

/// What the key of a circuit's votes ends in.
pub(crate) const VOTES_SUFFIX: &str = "#votes";

/// The ends of keys that no circuit may have.
const RESERVED: [&str; 2] = [VOTES_SUFFIX, DRY_RUN_SUFFIX];

/// The name of one circuit: between 1 and 2,048 bytes of UTF-8.
///
/// The name is the key of the shared item, so two processes that use the same
/// name and table share the circuit. Cloning is cheap.
///
/// ```
/// use fuseboard::CircuitName;
///
/// let name = CircuitName::new("payment-backend")?;
/// assert_eq!(name.as_str(), "payment-backend");
/// assert!(CircuitName::new("").is_err());
/// # Ok::<(), fuseboard::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CircuitName(Arc<str>);

impl CircuitName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    ///
    /// - [`NameError::Empty`]: the name has no bytes.
    /// - [`NameError::TooLong`]: the name has more than 2,048 bytes.
    /// - [`NameError::Reserved`]: the name ends in `#votes` or `#dry-run`.
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        if let Some(suffix) = RESERVED.into_iter().find(|suffix| name.ends_with(suffix)) {
            return Err(NameError::Reserved { suffix });
        }
        match name.len() {
            0 => Err(NameError::Empty),
            bytes if bytes > MAX_NAME_BYTES => Err(NameError::TooLong { bytes }),
            _ => Ok(Self(Arc::from(name))),
        }
    }

    /// Returns the key of the item of this circuit in a [dry run](crate::ConfigBuilder::dry_run),
    /// where this is the key of its own item.
    ///
    /// For tools of operators: a breaker of that name would be refused.
    ///
    /// # Errors
    ///
    /// - [`NameError::TooLong`]: with its end the key would have more than 2,048 bytes.
    pub fn dry_run_key(&self) -> Result<Self, NameError> {
        match self.0.len().saturating_add(DRY_RUN_SUFFIX.len()) {
            bytes if bytes > MAX_NAME_BYTES => Err(NameError::TooLong { bytes }),
            _ => Ok(Self(format!("{}{DRY_RUN_SUFFIX}", self.0).into())),
        }
    }

    /// Checks that the key of the circuit's votes is no longer than a key may be.
    pub(crate) fn check_with_votes(&self) -> Result<(), NameError> {
        match self.0.len().saturating_add(VOTES_SUFFIX.len()) {
            bytes if bytes > MAX_NAME_BYTES => Err(NameError::TooLong { bytes }),
            _ => Ok(()),
        }
    }

    /// Returns the key of the circuit's votes, beside its own.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn votes_key(&self) -> String {
        format!("{}{VOTES_SUFFIX}", self.0)
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Escapes control characters, so that a name from a request cannot forge a line of a log.
/// [`CircuitName::as_str`] returns the name unchanged.
impl fmt::Display for CircuitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(&self.0), f)
    }
}

/// Displays text with these characters escaped: control characters (line ends, terminal escapes),
/// and characters that are invisible or reorder their line.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_fmt(&mut Escaping(f), format_args!("{}", self.0))
    }
}

/// A writer that escapes the text written through it.
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if letter.is_control() {
                fmt::Display::fmt(&letter.escape_default(), self.0)?;
            } else if is_deceptive(letter) {
                fmt::Display::fmt(&letter.escape_unicode(), self.0)?;
            } else {
                self.0.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// Returns `true` for a character that is invisible, ends a line or reorders the text around it,
/// and is no control character ("Unicode Bidirectional Algorithm", UAX 9; line and paragraph
/// separators; tags).
const fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Debug for CircuitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => fmt::Display::fmt(&letter.escape_default(), f)?,
                letter => fmt::Display::fmt(&Escaped(letter), f)?,
            }
        }
        f.write_char('"')
    }
}

impl AsRef<str> for CircuitName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for CircuitName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for CircuitName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for CircuitName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_168_a_name_is_shown_without_what_could_forge_a_line() {
        let shown = |name: &str| CircuitName::new(name).unwrap().to_string();
        assert_eq!(
            shown("pay-Ünïcode 支払 e\u{301} 'x' \"y\" \\"),
            "pay-Ünïcode 支払 e\u{301} 'x' \"y\" \\"
        );
        assert_eq!(shown("a\nINFO b\r\tc"), "a\\nINFO b\\r\\tc");
        assert_eq!(shown("\u{1b}[2J\u{7}\0\u{7f}\u{9b}"), r"\u{1b}[2J\u{7}\u{0}\u{7f}\u{9b}");
        assert_eq!(shown("a\u{202e}b\u{2066}c\u{2028}"), r"a\u{202e}b\u{2066}c\u{2028}");
        // Every character that Rust takes for a control, and every one that reorders.
        for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let is_bidi = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if letter.is_control() || is_bidi {
                let name = CircuitName::new(format!("a{letter}b")).unwrap();
                for text in [name.to_string(), format!("{name:?}")] {
                    assert!(!text.contains(letter), "{letter:?} in {text:?}");
                }
                assert!(name.as_str().contains(letter), "the key stays as it is");
            }
        }
        assert_eq!(format!("{:?}", CircuitName::new("a\"\nb").unwrap()), r#""a\"\nb""#);
    }

    #[test]
    fn a_name_must_not_be_the_key_of_an_item_beside_a_circuit() {
        for suffix in ["#votes", "#dry-run"] {
            let refused = CircuitName::new(format!("payments{suffix}"));
            assert_eq!(refused, Err(NameError::Reserved { suffix }));
            assert!(CircuitName::new(format!("payments{suffix}s")).is_ok());
        }
        assert!(CircuitName::new("votes").is_ok());
    }

    #[test]
    fn the_limits_are_counted_in_bytes() {
        assert_eq!(CircuitName::new(""), Err(NameError::Empty));
        assert!(CircuitName::new("x").is_ok());
        assert!(CircuitName::new("x".repeat(2_048)).is_ok());
        assert_eq!(CircuitName::new("ö".repeat(1_025)), Err(NameError::TooLong { bytes: 2_050 }));
        let key = |bytes| CircuitName::new("x".repeat(bytes)).unwrap().dry_run_key();
        assert!(key(2_040).unwrap().as_str().ends_with("x#dry-run"));
        assert_eq!(key(2_041), Err(NameError::TooLong { bytes: 2_049 }));
    }
}
