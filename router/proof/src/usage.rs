//! What does a process use, and does it use more and more?

use std::fs;

/// What a process uses at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Seconds since somebody began to look.
    pub at: f64,
    /// Resident memory, in MiB.
    pub resident: f64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Looks at a process. `None` when it is gone.
    pub fn of(process: u32, at: f64) -> Option<Usage> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
        Some(Usage { at, resident: kibibytes / 1024.0, descriptors })
    }
}

/// How much resident memory grows, in MiB an hour: the slope of the line with the least squares.
pub fn growth_an_hour(usages: &[Usage]) -> f64 {
    let count = usages.len().max(1) as f64;
    let mean = |value: fn(&Usage) -> f64| usages.iter().map(value).sum::<f64>() / count;
    let (at, resident) = (mean(|usage| usage.at), mean(|usage| usage.resident));
    let covariance: f64 = usages.iter().map(|usage| (usage.at - at) * (usage.resident - resident)).sum();
    let variance: f64 = usages.iter().map(|usage| (usage.at - at).powi(2)).sum();
    if variance > 0.0 { covariance / variance * 3600.0 } else { 0.0 }
}

/// The value that so many of a hundred do not exceed.
pub fn percentile(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found() {
        let growing = (0..10).map(|second| Usage {
            at: f64::from(second),
            resident: 20.0 + f64::from(second) / 3600.0,
            descriptors: 0,
        });
        assert!((growth_an_hour(&growing.collect::<Vec<_>>()) - 1.0).abs() < 1e-6);
        assert_eq!(growth_an_hour(&[]), 0.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((percentile(&values, 99), percentile(&values, 50), percentile(&values, 100)), (99, 50, 100));
        assert_eq!(percentile(&[], 99), 0);
    }
}
