//! The program from outside: what a user types and what comes back.

#![expect(clippy::panic, reason = "helpers of tests")]

mod analyze;
mod bad_input;
mod decisions;
mod flow;
mod http;
mod http_browser;
mod http_crash;
mod http_guard;
mod interrupted;
mod model;
mod plot;
mod program;
mod real_data;
mod real_pair;
mod runs;
mod service;
