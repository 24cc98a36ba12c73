//! What there is to work with, and what a strategy would cost. How a cost is estimated is not known here.

use super::strategy::Strategy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What matters most to the user (spec section 5, situations).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    /// No situation is stated: the matrix decides.
    #[default]
    Balanced,
    /// The fastest reliable road.
    Fastest,
    /// The highest quality.
    Quality,
    /// Tight resources.
    Tight,
    /// Research: experiments are welcome.
    Research,
}

/// What there is to work with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Resources {
    /// Number of devices that can train at the same time.
    pub devices: u32,
    /// Memory of one device, bytes; `None` where it is not known.
    pub memory: Option<u64>,
    /// Wall time allowed, seconds; `None` for no limit.
    pub budget: Option<f64>,
    /// What matters most.
    pub priority: Priority,
}

impl Default for Resources {
    /// One device, nothing else known.
    fn default() -> Self {
        Self { devices: 1, memory: None, budget: None, priority: Priority::Balanced }
    }
}

/// What a strategy is estimated to cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cost {
    /// Wall seconds.
    pub seconds: f64,
    /// Peak memory, bytes.
    pub memory: u64,
    /// Disk, bytes.
    pub disk: u64,
    /// Floating-point operations.
    pub flops: f64,
    /// Training tokens.
    pub tokens: u64,
}

/// How fast a machine is, from a short calibration run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Calibration {
    /// Which machine, device and build: times of one say nothing of another.
    pub machine: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Floating-point operations a second of large matrix products.
    pub flops_per_second: f64,
    /// When it was measured (UTC, RFC 3339).
    pub at: String,
}

/// Costs by strategy; a strategy that is missing could not be estimated.
pub type Costs = BTreeMap<Strategy, Cost>;
