//! How a value is written: JSON in an envelope that names its kind and the version of its form. A newer reader opens
//! older values through [`upgrade`]; an older reader refuses newer ones by name.
//!
//! The forms are those of the domain's types, whose field names are thereby part of the file format. What changed:
//!
//! - version 1: the first.
//!
//! When a field is added that older values lack, raise [`CURRENT`] and give [`upgrade`] a step that fills it in.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version this hibrit writes, and the newest it reads.
pub(super) const CURRENT: u32 = 1;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum Form {
    Run,
    Scorer,
    Decision,
    Profile,
}

/// Why bytes are no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("format {0} is newer than this version of hibrit supports ({CURRENT})")]
    Newer(u32),
    #[error("it is a {found}, not a {wanted}")]
    Form { found: Form, wanted: Form },
    #[error("{0}")]
    Malformed(String),
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[derive(Serialize)]
struct Sealed<'a, T> {
    hibrit: Form,
    v: u32,
    value: &'a T,
}

/// The envelope without its content.
#[derive(Deserialize)]
struct Head {
    hibrit: Form,
    v: u32,
}

#[derive(Deserialize)]
struct Opened<T> {
    value: T,
}

/// The bytes of a value, on one line. They are read back before they are returned: JSON has no word for a number that
/// is not finite, and what cannot be read again must not be stored.
pub(super) fn encode<T: Serialize + DeserializeOwned>(form: Form, value: &T) -> Result<Vec<u8>, DecodeError> {
    let bytes = serde_json::to_vec(&Sealed { hibrit: form, v: CURRENT, value })?;
    match serde_json::from_slice::<Opened<T>>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(e) => Err(DecodeError::Malformed(format!("{} ({e})", culprit(&bytes, e.column())))),
    }
}

/// Which field made a value unreadable: the last one named before the column where reading failed.
fn culprit(line: &[u8], column: usize) -> String {
    let before = String::from_utf8_lossy(line.get(..column).unwrap_or(line)).into_owned();
    let field = before.rsplit_once("\":").and_then(|(head, _)| head.rsplit_once('"'));
    let field = field.map_or_else(|| "a field".to_string(), |(_, name)| format!("its {name:?}"));
    let last = if before.ends_with("null") { "is not a finite number" } else { "would not be read back" };
    format!("{field} {last}")
}

/// The value in the bytes, whatever version up to [`CURRENT`] they have.
pub(super) fn decode<T: DeserializeOwned>(wanted: Form, bytes: &[u8]) -> Result<T, DecodeError> {
    match head(bytes)? {
        (found, _) if found != wanted => Err(DecodeError::Form { found, wanted }),
        (_, CURRENT) => Ok(serde_json::from_slice::<Opened<T>>(bytes)?.value),
        (_, older) => {
            let opened: Opened<Value> = serde_json::from_slice(bytes)?;
            Ok(serde_json::from_value(upgrade(wanted, older, opened.value))?)
        }
    }
}

/// Form and version of an envelope; a newer version is refused here, before anything else is looked at.
pub(super) fn head(bytes: &[u8]) -> Result<(Form, u32), DecodeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice::<Version>(bytes)?.v {
        newer if newer > CURRENT => Err(DecodeError::Newer(newer)),
        _ => serde_json::from_slice::<Head>(bytes).map(|h| (h.hibrit, h.v)).map_err(DecodeError::from),
    }
}

/// Brings a value of an older version to [`CURRENT`], one step a version. Version 0 are values written before the
/// envelope had a version worth the name: none were published, and they have version 1's fields.
fn upgrade(_form: Form, _from: u32, value: Value) -> Value {
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        let bytes = encode(Form::Profile, &vec![0.1_f64, 1e300]).unwrap();
        assert_eq!(decode::<Vec<f64>>(Form::Profile, &bytes).unwrap(), [0.1, 1e300]);
        assert!(!bytes.contains(&b'\n'));
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_when_written() {
        let value = std::collections::BTreeMap::from([("loss", 1.0), ("seconds", f64::INFINITY), ("steps", 2.0)]);
        let value: std::collections::BTreeMap<String, f64> = value.into_iter().map(|(k, v)| (k.into(), v)).collect();
        let flaw = encode(Form::Profile, &value).unwrap_err();
        assert!(flaw.to_string().starts_with("its \"seconds\" is not a finite number"), "{flaw}");
    }

    #[test]
    fn a_newer_version_is_refused_by_name_even_if_its_kind_is_unknown() {
        let flaw = decode::<u8>(Form::Run, br#"{"hibrit":"hologram","v":7,"value":{}}"#).unwrap_err();
        assert_eq!(flaw, DecodeError::Newer(7));
    }

    #[test]
    fn another_kind_is_refused() {
        let bytes = encode(Form::Scorer, &1_u8).unwrap();
        assert_eq!(
            decode::<u8>(Form::Run, &bytes).unwrap_err(),
            DecodeError::Form { found: Form::Scorer, wanted: Form::Run }
        );
    }
}
