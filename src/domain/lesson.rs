//! What is learnt from: a document, or a conversation. How a conversation is laid out as text for a model is not known
//! here.

use serde_json::Value;

/// A document, or a conversation and the words in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// What stands in it; for a conversation what its turns say, a line break between them.
    pub text: String,
    /// The turns of a conversation: objects with `role` and `content`.
    pub messages: Option<Value>,
}

impl AsRef<str> for Lesson {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// What the turns of a conversation say, a line break between them; `None` where `messages` is no list of turns. A turn
/// says its `content`: a string, or a list of parts of which those with a `text` count.
pub fn words(messages: &Value) -> Option<String> {
    let turns = messages.as_array()?;
    let mut words: Vec<&str> = Vec::with_capacity(turns.len());
    for turn in turns {
        turn.get("role")?.as_str()?;
        match turn.get("content") {
            Some(Value::String(text)) => words.push(text),
            Some(Value::Array(parts)) => words.extend(parts.iter().filter_map(|p| p.get("text")?.as_str())),
            Some(Value::Null) | None => {}
            Some(_) => return None,
        }
    }
    Some(words.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_conversation_says_what_its_turns_say() {
        let turns = json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "image"}]},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "assistant", "content": "good day"},
        ]);
        assert_eq!(words(&turns).as_deref(), Some("be kind\nhello\ngood day"));
        for other in [json!("text"), json!([{"content": "nobody says it"}]), json!([{"role": "user", "content": 3}])] {
            assert_eq!(words(&other), None, "{other}");
        }
    }
}
