//! The program from outside: what a user types and what comes back.

mod analyze;
mod bad_input;
mod flow;
mod program;
mod real_pair;
