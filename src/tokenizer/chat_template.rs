//! Conversations as training text: laid out by the model's own chat template, with the loss on what the assistant
//! says. Reading them from files is not its business.
//!
//! What the assistant says is found in one of three ways. A template with `{% generation %}` blocks marks it itself, as
//! in `transformers`. For any other template a turn reaches from the end of the layout of all messages before it (with
//! the generation prompt) to the end of the layout with it. Where a template lays a turn out otherwise once more follows
//! (Qwen3 leaves out what was thought before an earlier answer), a mark behind the turn's content tells where it ends in
//! the whole layout. A template that none of this fits is refused.

use super::error::TokenizerError;
use crate::files::FileError;
use crate::tokenizer::{Coder, Document};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// What stands for the two ends of a `generation` block while a template is rendered: private-use characters that no
/// template and hardly any text contains.
const BEGIN: char = '\u{F8F0}';
const END: char = '\u{F8F1}';

/// A chat template, checked.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    specials: BTreeMap<String, Value>,
    marked: bool,
}

/// A conversation as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidOut {
    /// All of it.
    pub text: String,
    /// Bytes of it that the assistant says, in order.
    pub said: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// From a template's text and the tokens it may name (`bos_token`, `eos_token`, ...).
    ///
    /// # Errors
    /// [`TokenizerError::Data`] where it is not a template.
    pub fn new(template: &str, specials: &BTreeMap<String, String>) -> Result<Self, TokenizerError> {
        let (text, marked) = mark(template);
        let mut environment = Environment::new();
        // As transformers sets up its templates.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| refused(&e))?;
        environment.set_syntax(syntax);
        environment.set_unknown_method_callback(python_method);
        environment.add_function("raise_exception", |what: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, what))
        });
        environment.add_filter("tojson", |value: Value| json(&value));
        environment.add_template_owned("chat", text).map_err(|e| refused(&e))?;
        let specials = specials.iter().map(|(name, token)| (name.clone(), Value::from(token.as_str()))).collect();
        Ok(Self { environment, specials, marked })
    }

    /// The template of a tokenizer's folder: `chat_template.jinja`, or `chat_template` in tokenizer_config.json;
    /// `None` where it has neither.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what it should be.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>, TokenizerError> {
        let path = folder.join("tokenizer_config.json");
        let config: serde_json::Value = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(FileError::parsing(&path))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => serde_json::Value::Null,
            Err(e) => return Err(FileError::reading(&path)(e).into()),
        };
        let token =
            |value: &serde_json::Value| value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned);
        let specials: BTreeMap<String, String> = ["bos_token", "eos_token", "pad_token", "unk_token"]
            .into_iter()
            .filter_map(|name| Some((name.to_string(), token(config.get(name)?)?)))
            .collect();
        let beside = folder.join("chat_template.jinja");
        let template = match std::fs::read_to_string(&beside) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                config.get("chat_template").and_then(serde_json::Value::as_str).map(str::to_owned)
            }
            Err(e) => return Err(FileError::reading(&beside)(e).into()),
        };
        template.map(|text| Self::new(&text, &specials)).transpose()
    }

    /// A conversation: `messages` as in the Hub's chat files, a list of `role` and `content`.
    ///
    /// # Errors
    /// [`TokenizerError::Data`] where the template refuses it, or lays earlier turns out otherwise later on.
    pub fn lay_out(&self, messages: &serde_json::Value) -> Result<LaidOut, TokenizerError> {
        let list = messages.as_array().ok_or_else(|| TokenizerError::Data("messages must be a list".into()))?;
        let whole = self.render(list, false)?;
        if self.marked {
            return Ok(unmark(&whole));
        }
        let mut said = Vec::new();
        for (i, message) in list.iter().enumerate() {
            if message.get("role").and_then(serde_json::Value::as_str) != Some("assistant") {
                continue;
            }
            let before = self.render(&list[..i], true)?;
            let with = self.render(&list[..=i], false)?;
            let end = if whole.starts_with(&with) { Some(with.len()) } else { self.end_in_whole(list, i, &whole)? };
            match end.filter(|end| whole.starts_with(&before) && before.len() <= *end) {
                Some(end) => said.push(before.len()..end),
                None => {
                    return Err(TokenizerError::Data(format!(
                        "the chat template lays message {} out in another way when more follows, so that the assistant's \
                         words cannot be told; a template with generation blocks can be used",
                        i + 1
                    )));
                }
            }
        }
        Ok(LaidOut { text: whole, said })
    }

    /// Where turn `i` ends in the whole layout: behind its content, and behind what closes a turn. `None` where a mark
    /// behind its content changes anything else.
    fn end_in_whole(&self, list: &[serde_json::Value], i: usize, whole: &str) -> Result<Option<usize>, TokenizerError> {
        let mut marked = list.to_vec();
        let content = marked.get(i).and_then(|m| m.get("content")).and_then(serde_json::Value::as_str);
        let Some(content) = content.map(str::to_owned) else { return Ok(None) };
        // As it is, or without the white space that a template may cut off.
        for content in [content.as_str(), content.trim_end()] {
            if let Some(place) = marked.get_mut(i).and_then(|m| m.get_mut("content")) {
                *place = format!("{content}{END}").into();
            }
            let (all, alone) = (self.render(&marked, false)?, self.render(&marked[..=i], false)?);
            if let (Some((head, tail)), Some((_, closer))) = (all.split_once(END), alone.split_once(END))
                && whole.strip_prefix(head) == Some(tail)
            {
                let closed = closer.bytes().zip(tail.bytes()).take_while(|(a, b)| a == b).count();
                return Ok(Some(head.len() + closed).filter(|end| whole.is_char_boundary(*end)));
            }
        }
        Ok(None)
    }

    fn render(&self, messages: &[serde_json::Value], prompt: bool) -> Result<String, TokenizerError> {
        let mut context = self.specials.clone();
        context.insert("messages".into(), messages.iter().map(value).collect());
        context.insert("add_generation_prompt".into(), prompt.into());
        for absent in ["tools", "documents"] {
            context.insert(absent.into(), Value::from(()));
        }
        let template = self.environment.get_template("chat").map_err(|e| refused(&e))?;
        template.render(Value::from(context)).map_err(|e| refused(&e))
    }
}

/// Conversations as documents of a training text; `coder` must read special tokens in text as such
/// ([`Coder::reading_specials`]).
///
/// # Errors
/// As [`ChatTemplate::lay_out`], with the conversation's number; where the tokenizer fails.
pub fn documents(
    coder: &Coder,
    template: &ChatTemplate,
    conversations: &[&serde_json::Value],
) -> Result<Vec<Document>, TokenizerError> {
    let one = |(i, messages): (usize, &&serde_json::Value)| {
        let laid_out = template.lay_out(messages).map_err(|e| match e {
            TokenizerError::Data(what) => TokenizerError::Data(format!("conversation {}: {what}", i + 1)),
            other => other,
        })?;
        let encoded = coder.encode_one(&laid_out.text)?;
        let mut end = 0usize;
        let learnt = encoded.bytes.iter().map(|bytes| {
            let start = end;
            end += *bytes as usize;
            laid_out.said.iter().any(|said| start < said.end && end > said.start)
        });
        let learnt = Some(learnt.collect());
        Ok(Document { encoded, learnt })
    };
    conversations.par_iter().enumerate().map(one).collect()
}

fn refused(e: &Error) -> TokenizerError {
    let line = e.line().map_or(String::new(), |l| format!(", line {l}"));
    let what = e.detail().map_or_else(|| e.kind().to_string(), str::to_owned);
    TokenizerError::Data(format!("the chat template refuses{line}: {what}"))
}

/// The template with its `generation` tags written as marks, and whether it has any. As for any block tag, white space
/// before it on its line and the line end after it go.
fn mark(template: &str) -> (String, bool) {
    let (mut text, mut rest, mut marked) = (String::new(), template, false);
    while let Some((before, tag, after)) = rest.find("{%").and_then(|at| {
        let end = at + rest[at..].find("%}")? + 2;
        Some((&rest[..at], &rest[at..end], &rest[end..]))
    }) {
        let inner = &tag[2..tag.len() - 2];
        let (left, right) = (inner.starts_with('-'), inner.ends_with('-'));
        let mark = match inner.trim_matches('-').trim() {
            "generation" => BEGIN,
            "endgeneration" => END,
            _ => {
                text.push_str(before);
                text.push_str(tag);
                rest = after;
                continue;
            }
        };
        marked = true;
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let indented = before[line..].chars().all(|c| c == ' ' || c == '\t') && (line > 0 || text.is_empty());
        text.push_str(if indented { &before[..line] } else { before });
        let dash = |on: bool| if on { "-" } else { "" };
        text.push_str(&format!("{{{{{} \"{mark}\" {}}}}}", dash(left), dash(right)));
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    text.push_str(rest);
    (text, marked)
}

/// The text without marks, and where they stood.
fn unmark(marked: &str) -> LaidOut {
    let mut laid_out = LaidOut { text: String::with_capacity(marked.len()), said: vec![] };
    let mut open = None;
    for c in marked.chars() {
        match c {
            BEGIN => open = Some(laid_out.text.len()),
            END => laid_out.said.extend(open.take().map(|from| from..laid_out.text.len())),
            c => laid_out.text.push(c),
        }
    }
    laid_out
}

/// JSON as the template engine's value; maps keep no order.
fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => n.as_i64().map(Value::from).unwrap_or_else(|| Value::from(n.as_f64().unwrap_or(f64::NAN))),
        Json::String(s) => Value::from(s.as_str()),
        Json::Array(all) => all.iter().map(value).collect(),
        Json::Object(map) => {
            Value::from(map.iter().map(|(k, v)| (k.clone(), value(v))).collect::<BTreeMap<String, Value>>())
        }
    }
}

/// A value as Python's `json.dumps` writes it.
fn json(value: &Value) -> Result<String, Error> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => "null".into(),
        ValueKind::Bool | ValueKind::Number => value.to_string().to_lowercase(),
        ValueKind::Map => {
            let entries: Result<Vec<String>, Error> = value
                .try_iter()?
                .map(|key| Ok(format!("{}: {}", quoted(&key.to_string()), json(&value.get_item(&key)?)?)))
                .collect();
            format!("{{{}}}", entries?.join(", "))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Result<Vec<String>, Error> = value.try_iter()?.map(|item| json(&item)).collect();
            format!("[{}]", items?.join(", "))
        }
        _ => quoted(&value.to_string()),
    })
}

/// The methods of Python's strings and dictionaries that chat templates call.
fn python_method(_: &mut State<'_, '_>, object: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    let argument = |i: usize| arguments.get(i).and_then(Value::as_str);
    if object.kind() == ValueKind::Map {
        let key = arguments.first();
        return match method {
            "get" => {
                let found = object.get_item(key.ok_or_else(unknown)?)?;
                let default = || arguments.get(1).cloned().unwrap_or_else(|| Value::from(()));
                Ok(if found.is_undefined() { default() } else { found })
            }
            "keys" => Ok(object.try_iter()?.collect()),
            "values" => object.try_iter()?.map(|k| object.get_item(&k)).collect::<Result<Vec<_>, _>>().map(Value::from),
            "items" => object
                .try_iter()?
                .map(|k| Ok(Value::from(vec![k.clone(), object.get_item(&k)?])))
                .collect::<Result<Vec<_>, Error>>()
                .map(Value::from),
            _ => Err(unknown()),
        };
    }
    let text = object.as_str().ok_or_else(unknown)?;
    let set = |c: char| argument(0).map_or_else(|| c.is_whitespace(), |chars| chars.contains(c));
    Ok(match method {
        "strip" => Value::from(text.trim_matches(set)),
        "lstrip" => Value::from(text.trim_start_matches(set)),
        "rstrip" => Value::from(text.trim_end_matches(set)),
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "startswith" => Value::from(text.starts_with(argument(0).ok_or_else(unknown)?)),
        "endswith" => Value::from(text.ends_with(argument(0).ok_or_else(unknown)?)),
        "replace" => Value::from(text.replace(argument(0).ok_or_else(unknown)?, argument(1).ok_or_else(unknown)?)),
        "split" => match (argument(0), arguments.get(1).and_then(Value::as_usize)) {
            (None, _) => text.split_whitespace().map(Value::from).collect(),
            (Some(by), None) => text.split(by).map(Value::from).collect(),
            (Some(by), Some(most)) => text.splitn(most + 1, by).map(Value::from).collect(),
        },
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{BpeKind, vocabulary_for_tests};
    use crate::train::data::PackedDataset;
    use serde_json::{Value as Json, json};

    /// Made by `tests/fixtures/make_chat.py` with transformers: layouts, ids and masks of a template with generation
    /// blocks, and layouts of one without.
    fn reference() -> Json {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn template(reference: &Json, name: &str) -> ChatTemplate {
        let specials = BTreeMap::from([("eos_token".to_string(), "<|im_end|>".to_string())]);
        ChatTemplate::new(reference["templates"][name].as_str().unwrap(), &specials).unwrap()
    }

    fn coder(reference: &Json) -> Coder {
        let json = reference["tokenizer"].to_string();
        Coder::new(&json, &vocabulary_for_tests(&json, BpeKind::ByteLevel)).unwrap().reading_specials()
    }

    #[test]
    fn layouts_ids_and_masks_equal_those_of_transformers() {
        let reference = reference();
        let (marked, coder) = (template(&reference, "marked"), coder(&reference));
        let cases = reference["cases"].as_array().unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let laid_out = marked.lay_out(&case["messages"]).unwrap();
            assert_eq!(laid_out.text, case["marked"].as_str().unwrap());
            let documents = documents(&coder, &marked, &[&case["messages"]]).unwrap();
            let ids: Vec<Json> = documents[0].encoded.ids.iter().map(|i| json!(i)).collect();
            assert_eq!(Json::from(ids), case["ids"]);
            let mask: Vec<Json> = documents[0].learnt.as_ref().unwrap().iter().map(|l| json!(u8::from(*l))).collect();
            assert_eq!(Json::from(mask), case["mask"], "{}", laid_out.text);
        }
    }

    #[test]
    fn a_template_without_marks_is_laid_out_as_by_transformers_and_cut_at_the_turns() {
        let reference = reference();
        let plain = template(&reference, "plain");
        for case in reference["cases"].as_array().unwrap() {
            let laid_out = plain.lay_out(&case["messages"]).unwrap();
            assert_eq!(laid_out.text, case["plain"].as_str().unwrap());
            let said = case["messages"].as_array().unwrap().iter().filter(|m| m["role"] == "assistant");
            let said: Vec<String> = said.map(|m| format!("{}<|im_end|>\n", m["content"].as_str().unwrap())).collect();
            let cut: Vec<&str> = laid_out.said.iter().map(|s| &laid_out.text[s.clone()]).collect();
            assert_eq!(cut, said);
        }
    }

    #[test]
    fn only_what_the_assistant_says_is_learnt_and_counted() {
        let reference = reference();
        let (marked, coder) = (template(&reference, "marked"), coder(&reference));
        let messages = &reference["cases"][0]["messages"];
        let said: u64 = marked.lay_out(messages).unwrap().said.iter().map(|s| s.len() as u64).sum();
        let documents = documents(&coder, &marked, &[messages]).unwrap();
        let packed = PackedDataset::documents(&coder, documents, 512, 0).unwrap();
        assert_eq!(packed.batch(&[0]).bytes, said);
    }

    /// Leaves out what was thought before earlier answers, and closes turns with a mark of its own.
    const FORGETFUL: &str = "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and loop.last %}thought;\
        {% endif %}{{ m.content | trim }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

    #[test]
    fn turns_that_are_laid_out_otherwise_later_on_are_found_by_their_ends() {
        let template = ChatTemplate::new(FORGETFUL, &BTreeMap::new()).unwrap();
        let turn = |role: &str, content: &str| json!({"role": role, "content": content});
        let messages = [turn("user", "a"), turn("assistant", "same"), turn("user", "same"), turn("assistant", "d\n")];
        let laid_out = template.lay_out(&json!(messages)).unwrap();
        assert_eq!(laid_out.text, "<user>a</><assistant>same</><user>same</><assistant>thought;d</>");
        let cut: Vec<&str> = laid_out.said.iter().map(|s| &laid_out.text[s.clone()]).collect();
        assert_eq!(cut, ["same</>", "thought;d</>"]);
    }

    #[test]
    fn a_template_that_changes_what_was_said_before_is_refused_by_conversation() {
        let text = "{% for m in messages %}{{ messages | length }} {{ m.role }}: {{ m.content }};{% endfor %}";
        let template = ChatTemplate::new(text, &BTreeMap::new()).unwrap();
        let turn = |role: &str| json!({"role": role, "content": "x"});
        let messages = json!([turn("user"), turn("assistant"), turn("user"), turn("assistant")]);
        let error = documents(&coder(&reference()), &template, &[&messages]).err().unwrap();
        assert!(error.to_string().contains("conversation 1"), "{error}");
    }

    #[test]
    fn what_a_template_raises_reaches_the_user() {
        let template = ChatTemplate::new("{{ raise_exception('roles must alternate') }}", &BTreeMap::new()).unwrap();
        let error = template.lay_out(&json!([])).unwrap_err();
        assert!(error.to_string().contains("roles must alternate"), "{error}");
        assert!(ChatTemplate::new("{% for %}", &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_real_template_is_understood() {
        let Some(folder) = crate::real_data::real("tokenizers/qwen3") else { return };
        let template = ChatTemplate::from_folder(&folder).unwrap().unwrap();
        let turn = |role: &str, content: &str| json!({"role": role, "content": content});
        let messages = json!([turn("system", "Be brief."), turn("user", "Merhaba"), turn("assistant", "Selam!")]);
        let laid_out = template.lay_out(&messages).unwrap();
        // What transformers 5 writes for the same folder and messages.
        let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nMerhaba<|im_end|>\n\
                        <|im_start|>assistant\n<think>\n\n</think>\n\nSelam!<|im_end|>\n";
        assert_eq!(laid_out.text, expected);
        assert_eq!(&laid_out.text[laid_out.said[0].clone()], "<think>\n\n</think>\n\nSelam!<|im_end|>\n");
        // Several turns: what was thought before the first answer is left out once more follows.
        let thoughtful = "<think>\nGreet back.\n</think>\n\nSelam!";
        let messages = json!([
            turn("user", "Merhaba"),
            turn("assistant", thoughtful),
            turn("user", "Selam!"),
            turn("assistant", "Evet. "),
        ]);
        let laid_out = template.lay_out(&messages).unwrap();
        let expected = "<|im_start|>user\nMerhaba<|im_end|>\n<|im_start|>assistant\nSelam!<|im_end|>\n\
                        <|im_start|>user\nSelam!<|im_end|>\n\
                        <|im_start|>assistant\n<think>\n\n</think>\n\nEvet. <|im_end|>\n";
        assert_eq!(laid_out.text, expected);
        let cut: Vec<&str> = laid_out.said.iter().map(|s| &laid_out.text[s.clone()]).collect();
        assert_eq!(cut, ["Selam!<|im_end|>\n", "<think>\n\n</think>\n\nEvet. <|im_end|>\n"]);
    }
}
