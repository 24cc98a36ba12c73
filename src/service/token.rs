//! Who may ask? Tokens: made once, shown once, kept as hashes, compared without telling how far a guess was right.
//! Sessions: what a browser gets for a token. What a scope lets through is the guard's business.

use super::error::ServiceError;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use subtle::{Choice, ConstantTimeEq};

/// What a token lets its holder do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Look, and ask for decisions.
    Read,
    /// Start runs, judge them, change the scorer.
    Write,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// What its owner called it.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was made (UTC, RFC 3339).
    pub created: String,
    /// sha256 of the token, in hexadecimal.
    sha256: String,
}

/// All tokens of a service.
#[derive(Debug)]
pub struct AccessTokens {
    path: PathBuf,
    known: Vec<TokenInfo>,
    read_at: Option<SystemTime>,
}

/// 256 random bits make guessing hopeless, so that one round of a fast hash is enough.
fn fresh() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("hibrit_{}", HEXLOWER.encode(&bytes))
}

fn digest(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

impl AccessTokens {
    /// Those in the service's folder; none where it has no file of them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(state: &Path) -> Result<Self, ServiceError> {
        let mut tokens = Self { path: state.join("tokens.json"), known: Vec::new(), read_at: None };
        tokens.refresh()?;
        Ok(tokens)
    }

    /// Reads the file again where it has changed.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn refresh(&mut self) -> Result<(), ServiceError> {
        let changed = std::fs::metadata(&self.path).and_then(|m| m.modified()).ok();
        if changed == self.read_at {
            return Ok(());
        }
        let path = || self.path.clone();
        self.known = match changed {
            None => Vec::new(),
            Some(_) => {
                let bytes = std::fs::read(&self.path).map_err(|source| ServiceError::File {
                    verb: "read",
                    path: path(),
                    source,
                })?;
                serde_json::from_slice(&bytes)
                    .map_err(|e| ServiceError::Tokens { path: path(), detail: e.to_string() })?
            }
        };
        self.read_at = changed;
        Ok(())
    }

    /// All tokens, without what would let anyone in.
    pub fn list(&self) -> &[TokenInfo] {
        &self.known
    }

    /// Makes a token and gives it: the only time it is seen.
    ///
    /// # Errors
    /// A name that is taken or empty; a file that cannot be written.
    pub fn create(&mut self, name: &str, scope: Scope, now: String) -> Result<String, ServiceError> {
        if name.trim().is_empty() || name.len() > 80 {
            return Err(ServiceError::Token("a token's name has 1 to 80 letters".into()));
        }
        if self.known.iter().any(|t| t.name == name) {
            return Err(ServiceError::Token(format!("there is a token {name:?} already")));
        }
        let token = fresh();
        self.known.push(TokenInfo { name: name.into(), scope, created: now, sha256: digest(&token) });
        self.write()?;
        Ok(token)
    }

    /// Forgets a token.
    ///
    /// # Errors
    /// A name that is not there; a file that cannot be written.
    pub fn revoke(&mut self, name: &str) -> Result<(), ServiceError> {
        let before = self.known.len();
        self.known.retain(|t| t.name != name);
        if self.known.len() == before {
            return Err(ServiceError::Token(format!("there is no token {name:?}")));
        }
        self.write()
    }

    /// What a token allows; `None` for one that is not known. Every known token is compared to its end.
    pub fn scope_of(&self, token: &str) -> Option<Scope> {
        let given = digest(token);
        let mut found = None;
        for known in &self.known {
            let same: Choice = given.as_bytes().ct_eq(known.sha256.as_bytes());
            if bool::from(same) {
                found = Some(known.scope);
            }
        }
        found
    }

    fn write(&mut self) -> Result<(), ServiceError> {
        let path = self.path.clone();
        let fail = |source| ServiceError::File { verb: "write", path: path.clone(), source };
        let text = serde_json::to_vec_pretty(&self.known).map_err(|e| fail(e.into()))?;
        crate::files::atomic::write_secret(&path, |file| file.write_all(&text)).map_err(fail)?;
        self.read_at = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
        Ok(())
    }
}

/// How long a browser stays signed in.
const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Sessions at once; the oldest goes first.
const SESSIONS: usize = 1_000;

/// Browsers that have shown a token. They end with the service, and with their token.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, (String, Instant)>>,
}

impl Sessions {
    /// Opens one for the holder of a token; gives what goes into the cookie.
    pub fn open(&self, token: &str) -> String {
        let session = fresh();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (_, since)| since.elapsed() < SESSION);
        while open.len() >= SESSIONS {
            let Some(oldest) = open.iter().min_by_key(|(_, (_, since))| *since).map(|(k, _)| k.clone()) else { break };
            open.remove(&oldest);
        }
        // The token itself stays in memory only, so that revoking it ends its sessions.
        open.insert(digest(&session), (token.to_string(), Instant::now()));
        session
    }

    /// The token behind a session.
    pub fn token(&self, session: &str) -> Option<String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&digest(session)).filter(|(_, since)| since.elapsed() < SESSION).map(|(token, _)| token.clone())
    }

    /// Ends one.
    pub fn close(&self, session: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(session));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_only_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = AccessTokens::open(folder.path()).unwrap();
        let reader = tokens.create("reader", Scope::Read, "now".into()).unwrap();
        let writer = tokens.create("writer", Scope::Write, "now".into()).unwrap();
        assert!(tokens.create("reader", Scope::Read, "now".into()).is_err());
        let kept = std::fs::read_to_string(folder.path().join("tokens.json")).unwrap();
        assert!(!kept.contains(&reader) && !kept.contains(reader.trim_start_matches("hibrit_")));
        let mut elsewhere = AccessTokens::open(folder.path()).unwrap();
        assert_eq!((elsewhere.scope_of(&reader), elsewhere.scope_of(&writer)), (Some(Scope::Read), Some(Scope::Write)));
        assert_eq!(elsewhere.scope_of("hibrit_"), None);
        elsewhere.revoke("reader").unwrap();
        assert_eq!(elsewhere.scope_of(&reader), None);
        assert!(elsewhere.revoke("reader").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_of_tokens_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        AccessTokens::open(folder.path()).unwrap().create("a", Scope::Read, String::new()).unwrap();
        let mode = std::fs::metadata(folder.path().join("tokens.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_session_stands_for_its_token_until_it_is_closed() {
        let sessions = Sessions::default();
        let session = sessions.open("token");
        assert_eq!(sessions.token(&session).as_deref(), Some("token"));
        assert_eq!(sessions.token("other"), None);
        sessions.close(&session);
        assert_eq!(sessions.token(&session), None);
    }
}
