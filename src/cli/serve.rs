//! `hibrit serve` and `hibrit token`: the service, and who may ask it.

use super::inputs::duration;
use super::{Failure, Session};
use crate::service::{self, AccessTokens, Config, Limits, Scope};
use clap::{Args, Subcommand};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The service's state folder, where none is named.
const STATE: &str = "hibrit-service";

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on; port 0 picks a free port. Any address except loopback requires a token
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7878))]
    addr: SocketAddr,
    /// Additional host name of the service; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Require a token on loopback too
    #[arg(long)]
    require_token: bool,
    /// Folder containing the models
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Folder containing the tokenizers
    #[arg(long, value_name = "DIR")]
    tokenizers: Option<PathBuf>,
    /// Folder containing the texts
    #[arg(long, value_name = "DIR")]
    corpora: Option<PathBuf>,
    /// Folder for output, a subfolder for each run [default: runs in the service's state folder]
    #[arg(long, value_name = "DIR")]
    outputs: Option<PathBuf>,
    /// The service's state folder: queue, tokens, journals, decision log
    #[arg(long, value_name = "DIR", env = "HIBRIT_STATE", default_value = STATE)]
    state: PathBuf,
    /// Device to train on, one worker each; may be repeated
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: Vec<String>,
    /// Time for running jobs to save their state at shutdown
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    drain: f64,
    /// Maximum number of concurrent event streams
    #[arg(long, value_name = "N", default_value_t = Limits::default().streams)]
    max_streams: usize,
    /// Maximum number of concurrent connections
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    max_connections: usize,
    /// Maximum number of concurrent requests
    #[arg(long, value_name = "N", default_value_t = Limits::default().requests)]
    max_requests: usize,
    /// How often a run may crash the service before it fails
    #[arg(long, value_name = "N", default_value_t = Limits::default().crashes)]
    max_crashes: u32,
    /// Write the address to this file once the service listens
    #[arg(long, value_name = "FILE")]
    addr_file: Option<PathBuf>,
}

impl Serve {
    /// Serves until a signal comes.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let base = Config::below(self.state, session.settings.clone());
        let limits = Limits {
            streams: self.max_streams,
            connections: self.max_connections,
            requests: self.max_requests,
            crashes: self.max_crashes,
            drain: std::time::Duration::try_from_secs_f64(self.drain).unwrap_or(base.limits.drain),
            ..base.limits.clone()
        };
        let config = Config {
            addr: self.addr,
            hosts: self.host,
            require_token: self.require_token,
            models: self.models,
            tokenizers: self.tokenizers,
            corpora: self.corpora,
            outputs: self.outputs.unwrap_or(base.outputs),
            devices: self.device,
            addr_file: self.addr_file,
            limits,
            ..base
        };
        let quiet = session.quiet;
        service::serve(config, &session.stop, |addr| {
            if !quiet {
                eprintln!("hibrit listens on http://{addr} (Ctrl-C stops it and saves running jobs)");
            }
        })?;
        Ok(())
    }
}

/// Commands below `token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token; it is shown only once
    Create(Create),
    /// List tokens, without their secrets
    List(Where),
    /// Revoke a token; it stops working within a second
    Revoke(Revoke),
}

/// The service's state folder.
#[derive(Debug, Args)]
pub struct Where {
    /// The service's state folder
    #[arg(long, value_name = "DIR", env = "HIBRIT_STATE", default_value = STATE)]
    state: PathBuf,
}

/// A token to make.
#[derive(Debug, Args)]
pub struct Create {
    /// Name of the token
    name: String,
    /// read: view and ask for decisions; write: also start runs, give feedback, promote scorers
    #[arg(long, value_name = "SCOPE", default_value = "read", value_parser = scope)]
    scope: Scope,
    #[command(flatten)]
    place: Where,
}

/// A token to forget.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Name of the token
    name: String,
    #[command(flatten)]
    place: Where,
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|_| "one of read, write".to_string())
}

impl TokenCommand {
    /// Does what was asked.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            TokenCommand::Create(create) => {
                let token =
                    AccessTokens::open(&create.place.state)?.create(&create.name, create.scope, crate::app::now())?;
                session.print(
                    || serde_json::json!({ "name": create.name, "scope": create.scope, "token": token }),
                    || {
                        format!(
                            "{token}\n\nThis is the only time it is shown. Send it as `Authorization: Bearer TOKEN`."
                        )
                    },
                )
            }
            TokenCommand::List(place) => {
                let tokens = AccessTokens::open(&place.state)?;
                let line = |t: &service::TokenInfo| format!("{}  {}  {}\n", t.created, t.scope, t.name);
                let plain = |t: &service::TokenInfo| serde_json::json!({ "name": t.name, "scope": t.scope, "created": t.created });
                session.print(
                    || serde_json::json!({ "tokens": tokens.list().iter().map(plain).collect::<Vec<_>>() }),
                    || match tokens.list().is_empty() {
                        true => "There are no tokens.".into(),
                        false => tokens.list().iter().map(line).collect(),
                    },
                )
            }
            TokenCommand::Revoke(revoke) => {
                AccessTokens::open(&revoke.place.state)?.revoke(&revoke.name)?;
                session
                    .print(|| serde_json::json!({ "revoked": revoke.name }), || format!("{} is revoked.", revoke.name))
            }
        }
    }
}
