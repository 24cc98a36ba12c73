//! The program from outside: what a user types and what comes back.

mod bad_input;
mod decisions;
mod flow;
mod model;
mod plot;
mod program;
mod real_pair;
mod runs;
