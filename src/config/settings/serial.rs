//! Settings of all circuits as text.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, Visitor},
    ser::{Error as _, SerializeStruct as _},
};

use super::{Settings, SettingsBuilder, default_part, part};
use crate::config::{
    Config,
    serial::{Setter, setters},
};

const PARTS: &[&str] = &["default", "circuits"];

/// Writes all settings of each part, also those that are as in the default. A part that takes back
/// an option of the default cannot be written, which is an error: read back, it would have it.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        for (pattern, config) in &self.circuits {
            if let Some(option) = config.first_taken_back(&self.default) {
                let part = part(pattern);
                let why = format!(
                    "{part}.{option} is not set, which text cannot say beside the default's"
                );
                return Err(S::Error::custom(why));
            }
        }
        let mut parts = serializer.serialize_struct("Settings", PARTS.len())?;
        parts.serialize_field("default", &self.default)?;
        parts.serialize_field("circuits", &self.circuits)?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Settings", PARTS, Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `default` and `circuits`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        // A part may come before the default that it changes.
        let (mut default, mut circuits) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "default" if default.is_some() => return Err(A::Error::duplicate_field("default")),
                "circuits" if circuits.is_some() => {
                    return Err(A::Error::duplicate_field("circuits"));
                }
                "default" => default = Some(map.next_value_seed(Part(default_part()))?),
                "circuits" => circuits = Some(map.next_value_seed(Circuits)?),
                _ => return Err(A::Error::unknown_field(&name, PARTS)),
            }
        }
        let set_all = |setters: Vec<Setter>| {
            move |builder| setters.into_iter().fold(builder, |builder, set| set(builder))
        };
        let builder = SettingsBuilder::default();
        let builder = match default {
            Some(setters) => builder.defaults(set_all(setters)(Config::builder())),
            None => builder,
        };
        let builder = circuits
            .unwrap_or_default()
            .into_iter()
            .fold(builder, |builder, (pattern, setters)| {
                builder.circuit(pattern, set_all(setters))
            });
        builder.build().map_err(A::Error::custom)
    }
}

/// The settings of one part; its errors name the part.
struct Part(String);

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Vec<Setter>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Vec<Setter>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of settings in {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        setters(&mut map, &format!("{}.", self.0))
    }
}

/// The names and prefixes, each with its settings.
struct Circuits;

impl<'de> DeserializeSeed<'de> for Circuits {
    type Value = Vec<(String, Vec<Setter>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Circuits {
    type Value = Vec<(String, Vec<Setter>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of circuits")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut circuits = Vec::new();
        while let Some(pattern) = map.next_key::<String>()? {
            let setters = map.next_value_seed(Part(part(&pattern)))?;
            circuits.push((pattern, setters));
        }
        Ok(circuits)
    }
}

#[cfg(test)]
mod tests;
