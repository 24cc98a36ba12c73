//! Adapters in PEFT's format: a folder with adapter_config.json and adapter_model.safetensors. What an adapter was
//! trained for is not known here.

mod grown;
mod load;
mod save;

pub use grown::save_grown;
pub use load::{AdapterFolder, load};
pub use save::save;

/// PEFT's wrapping of every module's name.
const PREFIX: &str = "base_model.model.";
/// Name of the configuration's file.
const CONFIG: &str = "adapter_config.json";
/// The weights' file, without its ending.
const WEIGHTS: &str = "adapter_model";

#[cfg(test)]
mod tests;
