//! How is a metric written for Prometheus? The text format 0.0.4.

use std::fmt::{Display, Write};

use super::figures::Times;
use super::table::{Kind, Metric};

/// One metric that is being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    metric: Metric,
}

/// Writes a metric with the samples that `samples` adds; nothing at all when there are none.
pub(super) fn family(text: &mut String, metric: Metric, samples: impl FnOnce(&mut Family<'_>)) {
    let before = text.len();
    let (name, help, kind) = (metric.name, metric.help, word(metric.kind));
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    let head = text.len();
    samples(&mut Family { text, metric });
    if text.len() == head { text.truncate(before) } else { text.push('\n') }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

impl Family<'_> {
    /// Adds a sample with these values of the labels.
    pub(super) fn sample(&mut self, values: &[&str], value: impl Display) {
        self.line("", values, None, value);
    }

    /// Adds the samples of a histogram: one per bucket, their sum and their number.
    pub(super) fn times(&mut self, values: &[&str], times: &Times) {
        let mut all = 0;
        for (end, count) in times.buckets() {
            self.line("_bucket", values, Some(end), count);
            all = count;
        }
        self.line("_sum", values, None, times.sum());
        self.line("_count", values, None, all);
    }

    fn line(&mut self, suffix: &str, values: &[&str], end: Option<f64>, value: impl Display) {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "{} has other labels", self.metric.name);
        self.text.push_str(self.metric.name);
        self.text.push_str(suffix);
        let mut before = '{';
        for (label, value) in self.metric.labels.iter().zip(values) {
            let _ = write!(self.text, "{before}{label}=\"");
            escape(self.text, value);
            self.text.push('"');
            before = ',';
        }
        if let Some(end) = end {
            let _ = match end {
                f64::INFINITY => write!(self.text, "{before}le=\"+Inf\""),
                end => write!(self.text, "{before}le=\"{end}\""),
            };
            before = ',';
        }
        self.text.push_str(if before == '{' { " " } else { "} " });
        let _ = writeln!(self.text, "{value}");
    }
}

/// A label's value: everything stands for itself but backslash, quote and line feed.
fn escape(text: &mut String, value: &str) {
    for part in value.split_inclusive(['\\', '"', '\n']) {
        match part.as_bytes().last() {
            Some(b'\n') => {
                text.push_str(&part[..part.len() - 1]);
                text.push_str("\\n");
            }
            Some(b'\\' | b'"') => {
                let (plain, last) = part.split_at(part.len() - 1);
                text.extend([plain, "\\", last]);
            }
            _ => text.push_str(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{ALL, DECLINES, JOURNAL_SIZE};
    use super::*;

    #[test]
    fn no_label_can_forge_another_line_or_label() {
        let check = |value: &str, expected: &str| {
            let mut text = String::new();
            escape(&mut text, value);
            assert_eq!(text, expected, "{value:?}");
        };
        check("Kasse 1 – Süd", "Kasse 1 – Süd");
        check("", "");
        check(r#"a"} 1"#, r#"a\"} 1"#);
        check("a\nb 7\n", r"a\nb 7\n");
        check(r"\", r"\\");
        check(r"C:\\new", r"C:\\\\new");
        check("\\\n\"", r#"\\\n\""#);
        check("{a=b},#\r\t", "{a=b},#\r\t");
    }

    #[test]
    fn a_metric_without_labels_has_no_braces_and_one_without_samples_is_absent() {
        let mut text = String::new();
        family(&mut text, JOURNAL_SIZE, |family| family.sample(&[], 1.0));
        assert!(text.ends_with("\n# TYPE tillswitch_journal_bytes gauge\ntillswitch_journal_bytes 1\n\n"), "{text}");
        family(&mut text, DECLINES, |_| {});
        assert!(!text.contains(DECLINES.name), "{text}");
    }

    /// They are written as they stand.
    #[test]
    fn no_help_needs_escaping() {
        assert!(ALL.iter().all(|metric| !metric.help.contains(['\\', '\n'])));
    }
}
