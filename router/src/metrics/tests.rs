//! Is every series there from the start, are there few enough, and do they count what they say?

use std::time::UNIX_EPOCH;

use tillswitch_core::{Currency, LineEvent, Money, Operation, PaymentId};

use super::*;
use crate::journal::{Admission, Keys, NewPayment, RepeatRule, TerminalKey};

fn layout(shop: &[(&str, &str, &str)]) -> Layout {
    let till = |(register, terminal, driver): &(&str, &str, &str)| Till {
        register: (*register).into(),
        terminal: (*terminal).into(),
        driver: (*driver).into(),
    };
    let terminal = |till: &Till| Terminal { name: till.terminal.clone(), driver: till.driver.clone() };
    let tills: Vec<Till> = shop.iter().map(till).collect();
    Layout { terminals: tills.iter().map(terminal).collect(), tills, signature_keys: 2 }
}

fn one() -> Metrics {
    Metrics::new(&layout(&[("POS-01", "counter", "zvt-tcp")]))
}

#[track_caller]
fn check(metrics: &Metrics, line: &str) {
    let text = metrics.render();
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

fn payment(register: &str, terminal: &str, second: u64) -> Payment {
    Payment::from(&NewPayment {
        id: PaymentId::generate(),
        keys: Keys::Event { guid: None, content: "v1:".into(), has_created_at: true },
        operation: Operation::Sale,
        amount: Money::from_minor(2590, Currency::EUR),
        tip_minor: None,
        register: register.into(),
        terminal: TerminalKey {
            name: terminal.into(),
            driver: "zvt-tcp".into(),
            identity: tillswitch_core::Identity { address: "192.0.2.1:20007".into(), account: Default::default() },
        },
        document: None,
        undoes: None,
        again_of: None,
        accept_partial: false,
        received_at: UNIX_EPOCH + Duration::from_secs(second),
        admission: Admission::Dispatch,
        repeat: RepeatRule { window: Duration::ZERO, allow: false, confirmed: false },
        evidence: String::new(),
    })
}

#[test]
fn every_metric_is_there_from_the_start() {
    let text = one().render();
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{} is missing", metric.name);
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{} has no help", metric.name);
    }
    let told = |line: &str| line.split(' ').nth(2).map(str::to_owned);
    for name in text.lines().filter(|line| line.starts_with("# TYPE")).filter_map(told) {
        assert!(ALL.iter().any(|metric| metric.name == name), "{name} is not in the table");
    }
    assert!(!text.contains(" NaN") && !text.contains("summary"), "{text}");
}

#[test]
fn every_label_value_is_there_from_the_start() {
    let metrics = one();
    for state in series::OUTCOMES {
        for operation in Operation::ALL {
            check(
                &metrics,
                &format!(
                    "tillswitch_payments_total{{register=\"POS-01\",terminal=\"counter\",driver=\"zvt-tcp\",operation=\"{operation}\",outcome=\"{state}\"}} 0"
                ),
            );
        }
    }
    check(&metrics, "tillswitch_payments_in_doubt{register=\"POS-01\",terminal=\"counter\"} 0");
    check(&metrics, "tillswitch_webhook_signatures_total{key=\"2\"} 0");
    check(&metrics, "tillswitch_declines_total{terminal=\"counter\",reason=\"other\"} 0");
    check(&metrics, "tillswitch_journal_fsync_seconds_count 0");
    check(&metrics, "tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"} 1");
}

/// Who asks for a reason must not have to guess how its words are joined.
#[test]
fn the_words_of_closed_lists_are_joined_by_underscores() {
    let text = one().render();
    for label in ["reason", "outcome", "operation", "kind", "stage", "how", "result", "op", "queue", "listener"] {
        let before = format!("{label}=\"");
        let values = text.split(&before).skip(1).filter_map(|rest| rest.split('"').next());
        let odd: Vec<&str> =
            values.filter(|value| !value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect();
        assert!(odd.is_empty(), "{label}: {odd:?}");
    }
    for reason in
        ["bad_signature", "stale_timestamp", "too_large", "malformed", "unknown_register", "conflict", "overloaded"]
    {
        check(&one(), &format!("tillswitch_webhook_rejected_total{{reason=\"{reason}\"}} 0"));
    }
}

#[test]
fn ten_registers_stay_within_the_budget() {
    let names: Vec<(String, String)> = (1..=10).map(|n| (format!("POS-{n:02}"), format!("terminal-{n:02}"))).collect();
    let shop: Vec<_> =
        names.iter().map(|(register, terminal)| (register.as_str(), terminal.as_str(), "zvt-tcp")).collect();
    let text = Metrics::new(&layout(&shop)).render();
    let series = |of: &str| text.lines().filter(|line| line.starts_with(of) && !line.starts_with('#')).count();
    let all = series("tillswitch_") + series("process_");
    assert!((1000..=2000).contains(&all), "{all} series");
    let durations = series("tillswitch_payment_duration_seconds");
    let said = format!("make {all} series: {durations} of `tillswitch_payment_duration_seconds`");
    assert!(readme().contains(&said), "the README should say: {said}");
    assert!(text.len() < 200_000, "{} bytes", text.len());
}

#[test]
fn durations_are_histograms_with_our_buckets() {
    let metrics = one();
    metrics.outcome(&payment("POS-01", "counter", 1000), State::Approved, Duration::from_secs(4));
    let bucket =
        "tillswitch_payment_duration_seconds_bucket{terminal=\"counter\",driver=\"zvt-tcp\",outcome=\"approved\"";
    check(&metrics, &format!("{bucket},le=\"3\"}} 0"));
    check(&metrics, &format!("{bucket},le=\"5\"}} 1"));
}

#[test]
fn what_is_not_configured_counts_nowhere() {
    let metrics = one();
    metrics.outcome(&payment("POS-99", "counter", 1000), State::Approved, Duration::ZERO);
    metrics.declined("POS-99", "78");
    metrics.terminal_troubled("POS-99", Cause::Unreachable);
    assert!(!metrics.render().contains("POS-99"));
}

#[test]
fn a_payment_in_doubt_counts_once_and_none_is_overlooked() {
    let metrics = one();
    let (here, gone) = (payment("POS-01", "counter", 2000), payment("POS-01", "sold", 1000));
    for payment in [&here, &here, &gone] {
        metrics.doubt_began(payment);
    }
    check(&metrics, "tillswitch_payments_in_doubt{register=\"POS-01\",terminal=\"counter\"} 1");
    check(&metrics, "tillswitch_payments_in_doubt{register=\"(removed)\",terminal=\"(removed)\"} 1");
    check(&metrics, "tillswitch_in_doubt_oldest_timestamp_seconds 1000");
    metrics.doubt_ended(&gone, &Actor::Operator("anna".into()));
    check(&metrics, "tillswitch_payments_in_doubt{register=\"(removed)\",terminal=\"(removed)\"} 0");
    check(&metrics, "tillswitch_in_doubt_oldest_timestamp_seconds 2000");
    check(&metrics, "tillswitch_in_doubt_resolved_total{how=\"operator\"} 1");
    metrics.doubt_ended(&here, &Actor::Recovery);
    check(&metrics, "tillswitch_in_doubt_oldest_timestamp_seconds 0");
    check(&metrics, "tillswitch_in_doubt_resolved_total{how=\"auto_query\"} 1");
}

/// A counter that appears with its first event shows no growth.
#[test]
fn a_payment_in_doubt_from_before_a_restart_counts_where_it_was_begun() {
    let metrics = one();
    let gone = payment("POS-99", "sold", 1000);
    metrics.doubt_began(&gone);
    let labels = "register=\"POS-99\",terminal=\"sold\",driver=\"zvt-tcp\",operation=\"sale\",outcome=\"approved\"";
    check(&metrics, &format!("tillswitch_payments_total{{{labels}}} 0"));
    metrics.doubt_ended(&gone, &Actor::Operator("anna".into()));
    metrics.outcome(&gone, State::Approved, Duration::ZERO);
    check(&metrics, &format!("tillswitch_payments_total{{{labels}}} 1"));
    metrics.configure(&layout(&[("POS-01", "counter", "zvt-tcp")]));
    metrics.outcome(&gone, State::Approved, Duration::ZERO);
    check(&metrics, &format!("tillswitch_payments_total{{{labels}}} 2"));
}

#[test]
fn a_terminal_is_down_from_its_trouble_to_its_next_answer() {
    let metrics = one();
    let up = |value: u8| format!("tillswitch_terminal_up{{terminal=\"counter\",driver=\"zvt-tcp\"}} {value}");
    check(&metrics, "tillswitch_terminal_last_seen_timestamp_seconds{terminal=\"counter\"} 0");
    metrics.terminal_troubled("counter", Cause::Unreachable);
    check(&metrics, &up(0));
    check(&metrics, "tillswitch_link_errors_total{terminal=\"counter\",kind=\"unreachable\"} 1");
    metrics.terminal_troubled("counter", Cause::NotStored);
    check(&metrics, &up(0));
    metrics.terminal_troubled("counter", Cause::Busy);
    check(&metrics, &up(1));
    assert!(!metrics.render().contains("last_seen_timestamp_seconds{terminal=\"counter\"} 0\n"));
}

#[test]
fn another_configuration_goes_on_counting() {
    let metrics = one();
    let open = payment("POS-01", "counter", 1000);
    let _running = metrics.started(&open);
    metrics.doubt_began(&open);
    metrics.outcome(&open, State::Approved, Duration::ZERO);
    metrics.terminal_troubled("counter", Cause::Unreachable);
    metrics.configure(&layout(&[("POS-01", "counter", "zvt-tcp"), ("POS-02", "bar", "http")]));
    let labels = "register=\"POS-01\",terminal=\"counter\",driver=\"zvt-tcp\",operation=\"sale\",outcome=\"approved\"";
    check(&metrics, &format!("tillswitch_payments_total{{{labels}}} 1"));
    check(&metrics, "tillswitch_payments_in_progress{register=\"POS-01\",terminal=\"counter\"} 1");
    check(&metrics, "tillswitch_payments_in_doubt{register=\"POS-01\",terminal=\"counter\"} 1");
    check(&metrics, "tillswitch_payments_in_doubt{register=\"POS-02\",terminal=\"bar\"} 0");
    check(&metrics, "tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"} 0");
    metrics.configure(&layout(&[("POS-02", "bar", "http")]));
    check(&metrics, "tillswitch_terminal_info{terminal=\"counter\",driver=\"zvt-tcp\",transport=\"tcp\"} 0");
    check(&metrics, "tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"} 1");
    check(&metrics, "tillswitch_payments_in_doubt{register=\"(removed)\",terminal=\"(removed)\"} 1");
    check(&metrics, "tillswitch_payments_in_doubt{register=\"POS-01\",terminal=\"counter\"} 0");
    check(&metrics, &format!("tillswitch_payments_total{{{labels}}} 1"));
}

/// Prometheus takes nothing from a text in which a metric or a series stands twice, or a name ends its line early.
#[test]
fn nothing_stands_twice_whatever_a_register_is_called() {
    let odd = "a\"} 7\n\\";
    let metrics =
        Metrics::new(&layout(&[("POS-01", "shared", "http"), (odd, "shared", "http"), (odd, odd, "zvt-tcp")]));
    metrics.configure(&layout(&[("POS-01", "shared", "zvt-tcp")]));
    let text = metrics.render();
    let mut seen = std::collections::HashSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let name = if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 };
        assert!(seen.insert(name), "{line} stands twice");
        assert!(line.starts_with('#') || line.starts_with("tillswitch_") || line.starts_with("process_"), "{line}");
    }
    let escaped = r#""a\"} 7\n\\""#;
    check(&metrics, &format!("tillswitch_declines_total{{terminal={escaped},reason=\"bank\"}} 0"));
    check(&metrics, &format!("tillswitch_payments_in_doubt{{register={escaped},terminal=\"shared\"}} 0"));
}

/// Prometheus adds up what a counter grows by: one that stands still or vanishes before its payment ended loses it.
#[test]
fn what_began_in_another_configuration_is_counted_there() {
    let metrics = one();
    let (here, moved) = (payment("POS-01", "counter", 1000), payment("POS-01", "bar", 1000));
    let running_here = metrics.started(&here);
    metrics.terminal_queue("counter", 2, 2);
    metrics.configure(&layout(&[("POS-01", "bar", "zvt-tcp")]));
    let running_there = metrics.started(&moved);
    drop(running_here);
    metrics.outcome(&here, State::Declined, Duration::ZERO);
    metrics.declined("counter", "05");
    metrics.incident("counter");
    metrics.terminal_troubled("counter", Cause::Unreachable);
    metrics.terminal_queue("counter", 1, 2);
    let declined = |terminal: &str, count: u8| {
        let labels = format!("register=\"POS-01\",terminal=\"{terminal}\",driver=\"zvt-tcp\"");
        format!("tillswitch_payments_total{{{labels},operation=\"sale\",outcome=\"declined\"}} {count}")
    };
    check(&metrics, &declined("counter", 1));
    check(&metrics, &declined("bar", 0));
    check(&metrics, "tillswitch_payments_in_progress{register=\"POS-01\",terminal=\"counter\"} 0");
    check(&metrics, "tillswitch_payments_in_progress{register=\"POS-01\",terminal=\"bar\"} 1");
    check(&metrics, "tillswitch_declines_total{terminal=\"counter\",reason=\"bank\"} 1");
    check(&metrics, "tillswitch_incidents_total{terminal=\"counter\"} 1");
    check(&metrics, "tillswitch_link_errors_total{terminal=\"counter\",kind=\"unreachable\"} 1");
    // Nobody can mend a terminal that is configured no more, nor wait for it: an alarm would never end.
    check(&metrics, "tillswitch_terminal_up{terminal=\"counter\",driver=\"zvt-tcp\"} 1");
    check(&metrics, "tillswitch_queue_depth{queue=\"terminal\",terminal=\"counter\"} 0");

    metrics.configure(&layout(&[]));
    drop(running_there);
    metrics.outcome(&moved, State::Declined, Duration::ZERO);
    check(&metrics, &declined("bar", 1));
    check(&metrics, "tillswitch_payments_in_progress{register=\"POS-01\",terminal=\"bar\"} 0");
    metrics.configure(&layout(&[("POS-01", "counter", "zvt-tcp")]));
    metrics.outcome(&here, State::Declined, Duration::ZERO);
    check(&metrics, &declined("counter", 2));
}

#[test]
fn what_a_driver_tells_of_its_line_is_counted_at_its_terminal() {
    let metrics = Metrics::new(&layout(&[("POS-01", "counter", "zvt-tcp"), ("POS-02", "bar", "zvt-serial")]));
    let (counter, bar) = (metrics.watch_line("counter"), metrics.watch_line("bar"));
    counter.note(LineEvent::Connected);
    for after_seconds in [0.003, f64::NAN, f64::INFINITY, -1.0] {
        counter.note(LineEvent::Answered { after_seconds });
    }
    bar.note(LineEvent::Retransmitted);
    metrics.watch_line("nowhere").note(LineEvent::Connected);
    check(&metrics, "tillswitch_link_connects_total{terminal=\"counter\"} 1");
    check(&metrics, "tillswitch_link_connects_total{terminal=\"bar\"} 0");
    check(&metrics, "tillswitch_link_retransmissions_total{terminal=\"bar\"} 1");
    check(&metrics, "tillswitch_protocol_response_seconds_bucket{terminal=\"counter\",le=\"0.0025\"} 0");
    check(&metrics, "tillswitch_protocol_response_seconds_bucket{terminal=\"counter\",le=\"0.005\"} 1");
    check(&metrics, "tillswitch_protocol_response_seconds_count{terminal=\"counter\"} 1");
    metrics.configure(&layout(&[]));
    counter.note(LineEvent::Connected);
    check(&metrics, "tillswitch_link_connects_total{terminal=\"counter\"} 2");
}

#[test]
fn a_connection_counts_while_it_is_held() {
    let metrics = one();
    let connected = metrics.connected(Listener::Public);
    check(&metrics, "tillswitch_http_connections{listener=\"public\"} 1");
    drop(connected);
    check(&metrics, "tillswitch_http_connections{listener=\"public\"} 0");
}

#[test]
fn what_looks_on_is_asked_before_the_figures_are_read() {
    let metrics = one();
    metrics.before_render(|metrics| metrics.terminal_queue("counter", 1, 2));
    check(&metrics, "tillswitch_queue_depth{queue=\"terminal\",terminal=\"counter\"} 1");
    check(&metrics, "tillswitch_queue_capacity{queue=\"terminal\",terminal=\"counter\"} 2");
}

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

/// The README's table as it should be.
fn table_of_the_readme() -> String {
    let row = |metric: &Metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} |\n", metric.name, labels.join(", "), metric.help)
    };
    ALL.iter().map(row).collect()
}

#[test]
fn the_readme_lists_every_metric() {
    let readme = readme();
    let after = readme.split_once("<!-- metrics -->\n").expect("the README has a table of metrics").1;
    let rows: String =
        after.lines().skip(2).take_while(|line| line.starts_with('|')).map(|row| format!("{row}\n")).collect();
    let expected = table_of_the_readme();
    assert!(rows == expected, "the README should list:\n{expected}");
}
