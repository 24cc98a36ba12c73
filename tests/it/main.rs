//! The program from outside: what a user types and what comes back.

mod bad_input;
mod flow;
mod interrupted;
mod model;
mod program;
mod real_pair;
mod runs;
