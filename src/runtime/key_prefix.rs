//! The key of a circuit's item: the registry's prefix, and the circuit's name.

use std::sync::Arc;

use crate::{
    error::ConfigError,
    name::{CircuitName, NameError},
};

/// What comes before a circuit's name in the key of its item.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyPrefix(Option<Arc<str>>);

impl KeyPrefix {
    /// Half of what a key may have, so that a name of any sensible length fits after it.
    const MOST_BYTES: usize = 1_024;

    pub(crate) fn new(prefix: &str) -> Result<Self, ConfigError> {
        if prefix.len() > Self::MOST_BYTES {
            let requirement = "must have at most 1,024 bytes (given is how many it has)";
            return Err(ConfigError::new("prefix", prefix.len(), requirement));
        }
        Ok(Self((!prefix.is_empty()).then(|| prefix.into())))
    }

    /// Returns the key of a circuit's item, or of the one beside it in a dry run. Made
    /// for each request, which costs less than to keep it for each circuit.
    pub(crate) fn key(&self, name: &CircuitName, dry_run: bool) -> Result<CircuitName, NameError> {
        let key = match &self.0 {
            Some(prefix) => CircuitName::new(format!("{prefix}{}", name.as_str()))?,
            None => name.clone(),
        };
        if dry_run { key.dry_run_key() } else { Ok(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_prefix_and_the_name_and_both_count() {
        let name = |bytes| CircuitName::new("n".repeat(bytes)).unwrap();
        let prefix = KeyPrefix::new("orders/").unwrap();
        assert_eq!(prefix.key(&name(1), false).unwrap().as_str(), "orders/n");
        assert_eq!(prefix.key(&name(2_041), false).unwrap().as_str().len(), 2_048);
        let too_long = prefix.key(&name(2_042), false).unwrap_err();
        assert_eq!(too_long, NameError::TooLong { bytes: 2_049 });
        assert_eq!(KeyPrefix::new("").unwrap().key(&name(2_048), false).unwrap(), name(2_048));
        assert_eq!(prefix.key(&name(1), true).unwrap().as_str(), "orders/n#dry-run");
        assert!(prefix.key(&name(2_033), true).is_ok());
        assert!(prefix.key(&name(2_034), true).is_err());
        assert!(KeyPrefix::new(&"p".repeat(1_024)).is_ok());
        assert_eq!(KeyPrefix::new(&"p".repeat(1_025)).unwrap_err().field(), "prefix");
    }
}
