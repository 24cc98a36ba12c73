//! Which text does a line of JSON hold? Only the wanted field, and a conversation in `messages`, are kept; the others are
//! passed over unparsed.

use crate::domain::lesson::words;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;

/// What a line of JSON holds.
pub(super) enum Held<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A conversation: its words, and its turns.
    Chat(String, serde_json::Value),
}

/// The field of a conversation, where the wanted one is not there.
pub(super) const MESSAGES: &str = "messages";

/// What `field` of the object on `line` holds, or `messages` where there is no such field; `None` when it is neither a
/// string nor a list of turns.
///
/// # Errors
/// The parser's message when the line is not a JSON object.
pub(super) fn held<'a>(line: &'a str, field: &str) -> Result<Option<Held<'a>>, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(line);
    let found = Field(field).deserialize(&mut parser)?;
    parser.end()?;
    let turns = match found {
        (Some(Value::Text(text)), _) => return Ok(Some(Held::Text(text))),
        (Some(Value::Turns(turns)), _) | (None, Some(Value::Turns(turns))) => serde_json::Value::Array(turns),
        _ => return Ok(None),
    };
    Ok(words(&turns).map(|words| Held::Chat(words, turns)))
}

struct Field<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = (Option<Value<'de>>, Option<Value<'de>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = (Option<Value<'de>>, Option<Value<'de>>);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut wanted, mut messages) = (None, None);
        while let Some(Value::Text(key)) = map.next_key::<Value<'de>>()? {
            match key.as_ref() {
                key if key == self.0 => wanted = Some(map.next_value()?),
                MESSAGES if wanted.is_none() => messages = Some(map.next_value()?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok((wanted, messages))
    }
}

/// A string, borrowed where the JSON has no escapes; a list; or anything else.
enum Value<'de> {
    Text(Cow<'de, str>),
    Turns(Vec<serde_json::Value>),
    Other,
}

impl<'de> serde::Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut turns = Vec::new();
        while let Some(turn) = seq.next_element()? {
            turns.push(turn);
        }
        Ok(Value::Turns(turns))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}
