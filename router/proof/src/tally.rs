//! What did the runs show, and how much does that prove?

use std::collections::BTreeMap;
use std::process::ExitCode;

/// The result of one proof.
#[derive(Debug, Default)]
pub struct Tally {
    name: &'static str,
    runs: u64,
    counts: BTreeMap<String, u64>,
    violations: Vec<String>,
}

impl Tally {
    /// Nothing was run yet.
    pub fn new(name: &'static str) -> Tally {
        Tally { name, ..Tally::default() }
    }

    /// One run has ended, with what it found against a promise; `which` says how to run it again.
    pub fn ran(&mut self, which: &str, violations: impl IntoIterator<Item = impl ToString>) {
        self.runs += 1;
        violations.into_iter().for_each(|violation| self.found(which, violation));
    }

    /// Something was found against a promise, by looking at several runs together.
    pub fn found(&mut self, which: &str, violation: impl ToString) {
        let line = format!("{which}: {}", violation.to_string());
        eprintln!("VIOLATION {line}");
        self.violations.push(line);
    }

    /// Counts something that shows that the runs met what they were meant to meet.
    pub fn count(&mut self, what: impl Into<String>, times: u64) {
        *self.counts.entry(what.into()).or_default() += times;
    }

    /// How often something was counted.
    pub fn counted(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// Something that was to be met was never met: the proof has shown nothing.
    pub fn require(&mut self, what: &str) {
        if self.counted(what) == 0 {
            self.violations.push(format!("no run met {what:?}: nothing was shown"));
        }
    }

    /// Prints it. The exit code is 0 only if nothing was found.
    pub fn report(self) -> ExitCode {
        println!("{}: {} runs, {} violations", self.name, self.runs, self.violations.len());
        for (what, times) in &self.counts {
            println!("  {times:>8}  {what}");
        }
        self.violations.iter().for_each(|violation| println!("  VIOLATION {violation}"));
        if self.violations.is_empty() && self.runs > 0 {
            println!("  no violation in {} runs bounds their rate to about {} in {}", self.runs, 3, self.runs);
            return ExitCode::SUCCESS;
        }
        ExitCode::FAILURE
    }
}
