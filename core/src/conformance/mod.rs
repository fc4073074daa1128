//! The suite that every driver passes: one battery of misbehaving terminals, and the rules of money checked after each.
//!
//! A driver crate implements [`Bench`] for a simulator of its terminal and calls [`run`]:
//!
//! ```ignore
//! #[tokio::test]
//! async fn the_driver_keeps_the_rules() {
//!     let report = tillswitch_core::conformance::run(&mut MyBench::new()).await;
//!     report.assert_passed();
//! }
//! ```

mod battery;
pub mod bench;
mod checks;
mod late;
mod session;

use std::fmt;

pub use battery::run;
pub use bench::{Behaviour, Bench};
pub use late::KeptLate;
pub use session::TestSession;

/// What the battery found.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases that kept every rule.
    pub passed: Vec<&'static str>,
    /// Cases that the terminal's protocol cannot express, and why.
    pub left_out: Vec<(&'static str, &'static str)>,
    /// Broken rules, by case.
    pub failed: Vec<(&'static str, Vec<String>)>,
}

impl Report {
    /// Panics with the whole report unless every case kept every rule. Prints what was left out.
    pub fn assert_passed(&self) {
        println!("{self}");
        assert!(self.failed.is_empty(), "the driver breaks rules of money:\n{self}");
        assert!(!self.passed.is_empty(), "nothing was examined");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} passed, {} left out, {} failed", self.passed.len(), self.left_out.len(), self.failed.len())?;
        for (case, why) in &self.left_out {
            writeln!(f, "  left out  {case}: {why}")?;
        }
        for (case, faults) in &self.failed {
            for fault in faults {
                writeln!(f, "  FAILED    {case}: {fault}")?;
            }
        }
        Ok(())
    }
}
