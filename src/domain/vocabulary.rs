//! A tokenizer's vocabulary as the raw bytes its tokens stand for. Reading files and undoing byte-level
//! alphabets is the analyzer's business; here a vocabulary is inert data that every stage understands.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Stands for its bytes in text.
    Text,
    /// Byte fallback (`<0xNN>`): stands for one byte, used when no text token fits.
    Byte,
    /// A control token: matched by role, never by bytes.
    Special,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The string as it stands in the tokenizer's file.
    pub raw: String,
    /// The bytes it stands for in text; a word-initial marker is a space byte. Empty for specials.
    pub bytes: Vec<u8>,
    /// What it is.
    pub kind: TokenKind,
}

/// What a special token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Begins a sequence.
    Bos,
    /// Ends a sequence.
    Eos,
    /// Fills a batch.
    Pad,
    /// Stands for what cannot be written.
    Unk,
    /// Begins a turn of a chat.
    TurnStart,
    /// Ends a turn of a chat.
    TurnEnd,
    /// Any other control token, by its exact string.
    Other(String),
}

/// A vocabulary: tokens by id, holes allowed.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    tokens: Vec<Option<Token>>,
    roles: HashMap<Role, u32>,
    by_bytes: HashMap<Vec<u8>, u32>,
}

impl Vocabulary {
    /// From tokens by id and specials by role. Where several tokens stand for the same bytes, a text token wins
    /// over a byte-fallback token, then the lowest id wins.
    pub fn new(tokens: Vec<Option<Token>>, roles: HashMap<Role, u32>) -> Self {
        let mut by_bytes: HashMap<Vec<u8>, u32> = HashMap::with_capacity(tokens.len());
        for wanted in [TokenKind::Text, TokenKind::Byte] {
            for (id, token) in tokens.iter().enumerate() {
                if let Some(t) = token
                    && t.kind == wanted
                    && !t.bytes.is_empty()
                {
                    by_bytes.entry(t.bytes.clone()).or_insert(id as u32);
                }
            }
        }
        Self { tokens, roles, by_bytes }
    }

    /// One more than the highest id: the rows an embedding matrix needs at least.
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Number of tokens, specials included, holes not.
    pub fn len(&self) -> usize {
        self.tokens.iter().flatten().count()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.tokens.iter().all(Option::is_none)
    }

    /// The token of an id; `None` for a hole.
    pub fn get(&self, id: u32) -> Option<&Token> {
        self.tokens.get(id as usize)?.as_ref()
    }

    /// All tokens with their ids, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Token)> {
        self.tokens.iter().enumerate().filter_map(|(id, t)| Some((id as u32, t.as_ref()?)))
    }

    /// The token that stands for exactly these bytes, specials left out.
    pub fn by_bytes(&self, bytes: &[u8]) -> Option<u32> {
        self.by_bytes.get(bytes).copied()
    }

    /// The special token of a role.
    pub fn role(&self, role: &Role) -> Option<u32> {
        self.roles.get(role).copied()
    }

    /// All roles that are filled.
    pub fn roles(&self) -> &HashMap<Role, u32> {
        &self.roles
    }
}

/// Where a candidate token's row comes from in the original vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The original has a token of the same bytes.
    Exact(u32),
    /// A special token matched by role.
    Role(u32),
    /// The original writes the same bytes with several tokens: (id, bytes it stands for), in order.
    Pieces(Vec<(u32, u32)>),
    /// Nothing in the original expresses it.
    Nothing,
}

/// For every candidate id, where its row comes from. Holes are [`Origin::Nothing`].
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// By candidate id.
    pub origins: Vec<Origin>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(raw: &str, bytes: &[u8], kind: TokenKind) -> Option<Token> {
        Some(Token { raw: raw.into(), bytes: bytes.into(), kind })
    }

    #[test]
    fn a_character_wins_over_a_byte_fallback_token_of_the_same_byte() {
        let v = Vocabulary::new(
            vec![
                token("<0x61>", b"a", TokenKind::Byte),
                None,
                token("a", b"a", TokenKind::Text),
                token("<s>", b"", TokenKind::Special),
            ],
            HashMap::from([(Role::Bos, 3)]),
        );
        assert_eq!(v.by_bytes(b"a"), Some(2));
        assert_eq!((v.rows(), v.len()), (4, 3));
        assert_eq!(v.role(&Role::Bos), Some(3));
        assert!(v.get(1).is_none());
    }
}
