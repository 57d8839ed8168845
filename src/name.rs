//! The name of a circuit, checked once where it enters the crate.

use std::{fmt, sync::Arc};

use crate::error::NameError;

/// The longest circuit name, in bytes: the limit that DynamoDB sets on a
/// partition key ("Constraints in Amazon DynamoDB", AWS documentation).
pub const MAX_NAME_BYTES: usize = 2_048;

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
    pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        match name.len() {
            0 => Err(NameError::Empty),
            bytes if bytes > MAX_NAME_BYTES => Err(NameError::TooLong { bytes }),
            _ => Ok(Self(Arc::from(name))),
        }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CircuitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CircuitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
    fn the_limits_are_counted_in_bytes() {
        assert_eq!(CircuitName::new(""), Err(NameError::Empty));
        assert!(CircuitName::new("x").is_ok());
        assert!(CircuitName::new("x".repeat(2_048)).is_ok());
        assert_eq!(CircuitName::new("ö".repeat(1_025)), Err(NameError::TooLong { bytes: 2_050 }));
    }
}
