//! What is printed?

use std::time::Duration;

use crate::load::Round;

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// The bare durable forwarder, to HTTP terminals.
    Forwarder,
    /// The same with the commits of the router's promises, in SQLite.
    Promises,
    /// The router in front of HTTP terminals.
    Http,
    /// The router in front of ZVT terminals.
    Zvt,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::Forwarder => "bare forwarder",
            Contender::Promises => "with promises",
            Contender::Http => "router, HTTP",
            Contender::Zvt => "router, ZVT",
        }
    }
}

/// What was found out about one of them with one number of registers.
pub struct Row {
    contender: Contender,
    registers: usize,
    start: Duration,
    idle_kib: u64,
    direct: Round,
    /// The most that was seen between rounds.
    pub loaded_kib: u64,
    /// One payment after the other.
    pub single: Round,
    /// All registers at once.
    pub busy: Round,
}

impl Row {
    /// One without rounds.
    pub fn new(contender: Contender, registers: usize, start: Duration, idle_kib: u64, direct: Round) -> Row {
        Row {
            contender,
            registers,
            start,
            idle_kib,
            direct,
            loaded_kib: idle_kib,
            single: Round::default(),
            busy: Round::default(),
        }
    }
}

/// The table's head.
pub fn head() {
    println!(
        "                           all registers at once           one payment after the other          memory MiB"
    );
    println!(
        "registers                  paid/s  ratio  CPU ms  ratio    CPU ms  ratio  added p50  p99 ms   idle  loaded   start ms"
    );
}

/// One line each, compared with the first.
pub fn rows(rows: &[Row]) {
    let bare = &rows[0];
    for row in rows {
        let (busy, single) = (&row.busy, &row.single);
        println!(
            "{:>9} {:<15} {:>7.0} {:>6.2} {:>7.0} {:>6.2}   {:>7.0} {:>6.2}    {:>7.2} {:>7.2}  {:>5.1} {:>7.1}    {:>7.0}",
            row.registers,
            row.contender.name(),
            busy.rate(),
            busy.rate() / bare.busy.rate(),
            busy.cpu_per_1000(),
            busy.cpu_per_1000() / bare.busy.cpu_per_1000(),
            single.cpu_per_1000(),
            single.cpu_per_1000() / bare.single.cpu_per_1000(),
            single.latency(0.5) - row.direct.latency(0.5),
            single.latency(0.99) - row.direct.latency(0.99),
            row.idle_kib as f64 / 1024.0,
            row.loaded_kib as f64 / 1024.0,
            row.start.as_secs_f64() * 1e3,
        );
        for round in [busy, single] {
            assert_eq!(round.booked, round.approved, "every approval is one booking");
        }
    }
}

/// What the columns mean.
pub fn foot() {
    println!(
        "\nCPU ms: of the measured process for 1000 payments. ratio: to the bare forwarder with as many registers. added: to a \
         direct call of the terminal. Bookings equal approvals in every round."
    );
}
