//! How are files written and read so that nothing is lost or half there? What is in them is not known here.

pub mod atomic;
mod error;

pub use error::FileError;
