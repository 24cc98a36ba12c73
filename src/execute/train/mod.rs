//! Training: text to sequences ([`data`]), the order they are seen in ([`order`]), the learning rate's course
//! ([`schedule`]), the update ([`adamw`]) and the loop that ties them ([`fit`]). What a measurement means is the
//! reviewer's business; what is trained, the strategy's.

pub mod adamw;
pub mod data;
pub mod memory;
pub mod order;
pub mod schedule;
