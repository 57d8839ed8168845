//! Any attribute value as text and back, for [`Malformed`](crate::record::Malformed).
//!
//! A condition has to name exactly what was seen, so the text must give the
//! value back whole; and it stands in logs, so it reads like DynamoDB's own
//! JSON (`{"N":"12.5"}`), with binary in hexadecimal. Sets and maps are
//! written sorted: one value has one text, whatever order the store shows.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

/// The deepest nesting that is read back. DynamoDB allows 32 levels, its SDK
/// parses fewer than 128.
const MAX_DEPTH: u8 = 128;

/// Writes a value as text.
pub(super) fn encode(value: &AttributeValue) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

/// Reads a value back; `None` if the text was not written by [`encode`] or
/// holds a type that this version of the SDK does not know.
pub(super) fn decode(text: &str) -> Option<AttributeValue> {
    let mut reader = Reader { rest: text };
    let value = reader.value(MAX_DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "AttributeValue is not exhaustive: a type of the future is written as unknown"
)]
fn write_value(out: &mut String, value: &AttributeValue) {
    out.push('{');
    match value {
        AttributeValue::S(text) => {
            out.push_str("\"S\":");
            write_string(out, text);
        }
        AttributeValue::N(number) => {
            out.push_str("\"N\":");
            write_string(out, number);
        }
        AttributeValue::B(blob) => {
            out.push_str("\"B\":");
            write_string(out, &to_hex(blob));
        }
        AttributeValue::Bool(yes) => write_bool(out, "\"BOOL\":", *yes),
        AttributeValue::Null(yes) => write_bool(out, "\"NULL\":", *yes),
        AttributeValue::Ss(texts) => {
            out.push_str("\"SS\":");
            write_set(out, texts.clone());
        }
        AttributeValue::Ns(numbers) => {
            out.push_str("\"NS\":");
            write_set(out, numbers.clone());
        }
        AttributeValue::Bs(blobs) => {
            out.push_str("\"BS\":");
            write_set(out, blobs.iter().map(to_hex).collect());
        }
        AttributeValue::L(values) => {
            out.push_str("\"L\":[");
            for (place, value) in values.iter().enumerate() {
                separate(out, place);
                write_value(out, value);
            }
            out.push(']');
        }
        AttributeValue::M(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push_str("\"M\":{");
            for (place, (key, value)) in entries.into_iter().enumerate() {
                separate(out, place);
                write_string(out, key);
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
        _ => out.push_str("\"unknown\":true"),
    }
    out.push('}');
}

fn write_bool(out: &mut String, tag: &str, yes: bool) {
    out.push_str(tag);
    out.push_str(if yes { "true" } else { "false" });
}

fn write_set(out: &mut String, mut members: Vec<String>) {
    members.sort_unstable();
    out.push('[');
    for (place, member) in members.iter().enumerate() {
        separate(out, place);
        write_string(out, member);
    }
    out.push(']');
}

fn separate(out: &mut String, place: usize) {
    if place > 0 {
        out.push(',');
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            control if control.is_ascii_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

fn to_hex(blob: &Blob) -> String {
    blob.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Blob> {
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    let mut bytes = Vec::new();
    while let Some(high) = digits.next() {
        let byte = high?.checked_mul(16)?.checked_add(digits.next()??)?;
        bytes.push(u8::try_from(byte).ok()?);
    }
    Some(Blob::new(bytes))
}

/// What is still to be read of a text.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self, depth: u8) -> Option<AttributeValue> {
        let inside = depth.checked_sub(1)?;
        self.eat("{")?;
        let tag = self.string()?;
        self.eat(":")?;
        let value = match tag.as_str() {
            "S" => AttributeValue::S(self.string()?),
            "N" => AttributeValue::N(self.string()?),
            "B" => AttributeValue::B(self.blob()?),
            "BOOL" => AttributeValue::Bool(self.bool()?),
            "NULL" => AttributeValue::Null(self.bool()?),
            "SS" => AttributeValue::Ss(self.sequence("[", "]", Self::string)?),
            "NS" => AttributeValue::Ns(self.sequence("[", "]", Self::string)?),
            "BS" => AttributeValue::Bs(self.sequence("[", "]", Self::blob)?),
            "L" => AttributeValue::L(self.sequence("[", "]", |reader| reader.value(inside))?),
            "M" => {
                let entries = self.sequence("{", "}", |reader| {
                    let key = reader.string()?;
                    reader.eat(":")?;
                    Some((key, reader.value(inside)?))
                })?;
                AttributeValue::M(entries.into_iter().collect())
            }
            _ => return None,
        };
        self.eat("}")?;
        Some(value)
    }

    fn sequence<T>(
        &mut self,
        open: &str,
        close: &str,
        mut member: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.eat(open)?;
        let mut members = Vec::new();
        if self.eat(close).is_some() {
            return Some(members);
        }
        loop {
            members.push(member(self)?);
            if self.eat(",").is_none() {
                self.eat(close)?;
                return Some(members);
            }
        }
    }

    fn blob(&mut self) -> Option<Blob> {
        from_hex(&self.string()?)
    }

    fn bool(&mut self) -> Option<bool> {
        if self.eat("true").is_some() {
            return Some(true);
        }
        self.eat("false").map(|()| false)
    }

    fn string(&mut self) -> Option<String> {
        self.eat("\"")?;
        let mut text = String::new();
        let mut characters = self.rest.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => match characters.next()? {
                    'u' => {
                        let mut code = 0_u32;
                        for _ in 0..4 {
                            let digit = characters.next()?.to_digit(16)?;
                            code = code.checked_mul(16)?.checked_add(digit)?;
                        }
                        text.push(char::from_u32(code)?);
                    }
                    escaped => text.push(escaped),
                },
                plain => text.push(plain),
            }
        }
        self.rest = characters.as_str();
        Some(text)
    }
}

#[cfg(test)]
mod tests;
