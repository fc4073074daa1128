//! What the tests of `examples/grafana` stand on: the tools, a Prometheus, the questions that are asked of it, and a shop.

pub mod prometheus;
pub mod questions;
pub mod shop;
pub mod tools;
