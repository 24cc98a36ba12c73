//! hibrit for a team: decisions and runs over HTTP, with pages to look at. What a decision or a run is, is the
//! pipeline's business; how a report reads, the report's. Here it is settled who may ask, for how much, and how the
//! answer travels.
//!
//! - [`server`]: binds, listens, drains;
//! - [`service`]: what all requests share: evidence in memory, the queue, limits;
//! - [`guard`]: what every request must pass: host, origin, token, limits;
//! - [`worker`]: carries runs out, one worker a device;
//! - [`live`]: what is going on in runs now, and their journals;
//! - [`catalog`]: the names clients may say, and the places they stand for;
//! - [`decisions`], [`profiles`], [`runs`], [`events`], [`history`], [`tables`], [`health`]: one resource each;
//! - [`web`]: the pages;
//! - [`openapi`]: the description of all of it, made from the code.

pub mod api;
mod catalog;
mod config;
mod curves;
mod decisions;
mod error;
mod events;
mod guard;
mod health;
mod history;
mod live;
mod logs;
mod metrics;
mod openapi;
mod profiles;
mod recommendation_log;
mod reports;
mod runs;
mod server;
mod service;
mod tables;
mod token;
mod web;
mod worker;

pub use config::{Config, Limits};
pub use error::ServiceError;
pub use server::serve;
pub use token::{AccessTokens, Scope, TokenInfo};
