//! Which tokens are control tokens, and what is each one for? The file's own words come first (the folder's
//! tokenizer_config.json, then the post-processor's template and the model's unknown token), well-known names last.

use super::tokenizer_json::{TokenizerJson, steps};
use crate::domain::vocabulary::Role;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Names that mean a role wherever they occur as control tokens, the most usual first.
const WELL_KNOWN: [(Role, &[&str]); 6] = [
    (Role::Unk, &["<unk>", "[UNK]", "<UNK>", "<|unk|>", "<unk|LLM-jp>"]),
    (
        Role::Bos,
        &[
            "<s>",
            "<bos>",
            "<|begin_of_text|>",
            "<|startoftext|>",
            "<|bos|>",
            "<BOS>",
            "[BOS]",
            "[CLS]",
            "<|begin▁of▁sentence|>",
            "<s|LLM-jp>",
            "<|startoftranscript|>",
        ],
    ),
    (
        Role::Eos,
        &[
            "</s>",
            "<eos>",
            "<|end_of_text|>",
            "<|endoftext|>",
            "<|eos|>",
            "<EOS>",
            "[EOS]",
            "[SEP]",
            "<|end▁of▁sentence|>",
            "</s|LLM-jp>",
        ],
    ),
    (Role::Pad, &["<pad>", "[PAD]", "<PAD>", "<|pad|>", "<|finetune_right_pad_id|>", "<pad|LLM-jp>", "<|fim_pad|>"]),
    (Role::TurnStart, &["<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "<|start|>", "[INST]", "<|user|>"]),
    (Role::TurnEnd, &["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "[/INST]"]),
];

/// Control names that have no role of their own.
const OTHER_CONTROL: [&str; 4] = ["<mask>", "[MASK]", "<MASK>", "<|mask|>"];

/// The control tokens of a vocabulary.
#[derive(Debug, Default)]
pub(crate) struct SpecialTokens {
    pub roles: HashMap<Role, u32>,
    pub ids: HashSet<u32>,
}

impl SpecialTokens {
    /// `id` gives a token's id; `config` is tokenizer_config.json (or special_tokens_map.json), where there is one.
    pub fn of(skeleton: &TokenizerJson, config: Option<&Value>, id: impl Fn(&str) -> Option<u32>) -> Self {
        let added = skeleton.added_tokens.as_deref().unwrap_or_default();
        let mut found = Self::default();
        for token in added.iter().filter(|t| t.special || is_control_name(&t.content)) {
            found.ids.extend(id(&token.content));
        }
        let mut settled = HashSet::new();
        for (role, key) in
            [(Role::Bos, "bos_token"), (Role::Eos, "eos_token"), (Role::Pad, "pad_token"), (Role::Unk, "unk_token")]
        {
            let Some(value) = config.and_then(|c| c.get(key)) else { continue };
            // A role that the configuration leaves empty on purpose is not guessed.
            settled.insert(role.clone());
            let name = value.as_str().or_else(|| value.get("content")?.as_str());
            if let Some(id) = name.and_then(&id) {
                found.assign(role, id);
            }
        }
        let unknown = skeleton.model.as_ref().and_then(|m| m.unk_id.or_else(|| m.unk_token.as_deref().and_then(&id)));
        if let Some(id) = unknown {
            settled.insert(Role::Unk);
            found.assign(Role::Unk, id);
        }
        let (first, last) = template(skeleton);
        for (role, name) in [(Role::Bos, first), (Role::Eos, last)] {
            if let Some(id) = name.and_then(&id).filter(|_| !settled.contains(&role)) {
                settled.insert(role.clone());
                found.assign(role, id);
            }
        }
        for (role, names) in WELL_KNOWN {
            let known = names.iter().filter_map(|n| id(n)).find(|id| found.ids.contains(id));
            if let Some(id) = known.filter(|_| !settled.contains(&role)) {
                found.assign(role, id);
            }
        }
        let with_role: HashSet<u32> = found.roles.values().copied().collect();
        for token in added {
            if let Some(id) = id(&token.content).filter(|id| found.ids.contains(id) && !with_role.contains(id)) {
                found.roles.insert(Role::Other(token.content.clone()), id);
            }
        }
        found
    }

    fn assign(&mut self, role: Role, id: u32) {
        self.ids.insert(id);
        self.roles.entry(role).or_insert(id);
    }
}

/// Whether an added token is a control token by its name, whatever its file says: SentencePiece conversions often
/// forget the flag.
fn is_control_name(name: &str) -> bool {
    let marked = name.strip_prefix("<|").and_then(|n| n.strip_suffix("|>")).is_some_and(|n| !n.is_empty());
    marked || OTHER_CONTROL.contains(&name) || WELL_KNOWN.iter().any(|(_, names)| names.contains(&name))
}

/// The token that the post-processor puts before a single sequence, and the one it puts after.
pub(crate) fn template(skeleton: &TokenizerJson) -> (Option<&str>, Option<&str>) {
    let (mut first, mut last) = (None, None);
    for step in steps(skeleton.post_processor.as_ref()) {
        match step.get("type").and_then(Value::as_str) {
            Some("TemplateProcessing") => {
                let mut text_seen = false;
                for piece in step.get("single").and_then(Value::as_array).into_iter().flatten() {
                    if piece.get("Sequence").is_some() {
                        text_seen = true;
                    } else if let Some(name) = piece.pointer("/SpecialToken/id").and_then(Value::as_str) {
                        let place = if text_seen { &mut last } else { &mut first };
                        *place = place.or(Some(name));
                    }
                }
            }
            Some("RobertaProcessing" | "BertProcessing") => {
                first = first.or_else(|| step.pointer("/cls/0").and_then(Value::as_str));
                last = last.or_else(|| step.pointer("/sep/0").and_then(Value::as_str));
            }
            _ => {}
        }
    }
    (first, last)
}
