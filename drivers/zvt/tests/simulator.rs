//! Does the simulated terminal speak the protocol? Raw bytes against it, from readable transcripts.
//!
//! | line | means |
//! |---|---|
//! | `script: decline` | the script, before the first link |
//! | `auto-reverse: no` | so with the other settings of [`Setting`] |
//! | `ECR> 06 02 00` | bytes to send |
//! | `PT> 04 0F .. 27 00 .. 0C ?? ?? ??` | the next message: `??` is one byte, `..` any number of them |
//! | `RAW> 15 03 ..` | what comes next, before it is cut into messages |
//! | `PT> closed` | the terminal ends the link |
//! | `LINK> again` | a new link; the old one is closed |
//! | `LEDGER> booked sale 25.00 EUR 0001` | the next line of the ledger. What follows is only done when it is there |
//! | `FAULT> …` | a part of the next protocol fault; any that is not announced fails |

// A test that cannot go on shall panic.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tillswitch_core::ledger::{LedgerEntry, LedgerEvent};
use tillswitch_zvt::simulator::{Options, Simulator, Slips, Step};

mod wire;

use wire::{Ecr, PATIENCE, fits, hex};

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                play(stringify!($name)).await;
            }
        )*

        #[test]
        fn every_transcript_is_played() {
            let played = [$(stringify!($name)),*];
            for file in std::fs::read_dir(folder()).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(played.contains(&name), "{name} is not in the list");
            }
        }
    };
}

transcripts! {
    registration
    registration_with_container
    registration_wrong_currency
    payment_approved
    payment_approved_without_intermediate_status
    payment_declined
    payment_stopped_by_customer
    payment_stopped_by_ecr
    payment_wrong_pin_then_approved
    payment_coalesced
    payment_slow
    payment_goods_not_issued
    payment_goods_issued_in_part
    payment_printer_trouble
    payment_asked_again
    payment_unacknowledged_reversed
    payment_unacknowledged_kept
    payment_partial
    payment_with_tip
    payment_taken_back
    payment_printed_by_lines
    payment_printed_as_block
    payment_busy
    payment_busy_ask_again
    payment_refused
    payment_only_abort
    payment_error_without_completion
    payment_duplicate_result
    payment_wrong_currency
    cut_registration
    cut_after_command
    cut_after_start_kept
    cut_after_start_reversed
    cut_behind_first_status
    cut_before_result_reversed
    cut_before_result_kept
    cut_after_result_kept
    cut_after_result_reversed
    no_completion
    silent_after_start
    cut_after_ack
    cut_at_slip
    cut_behind_completion
    cut_idle
    late_result_refused
    garbage
    banner
    wrong_id
    refund
    reversal
    repeat_receipt
    repeat_receipt_useless
    status_enquiry
    end_of_day
    diagnosis
    log_off
    wrong_password
    unknown_command
    four_byte_acknowledgement
    half_a_command
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/simulator")
}

async fn play(name: &str) {
    let text = std::fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
    let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).collect();
    let lines = lines.into_iter().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (talk, settings): (Vec<_>, Vec<_>) = lines.partition(|(_, line)| line.contains('>'));
    let ledger = TempDir::new().unwrap();
    let options = settings.into_iter().fold(Options::fast(ledger.path().join("ledger")), set);
    let mut stage = Stage::new(Simulator::start(options).await.unwrap()).await;
    assert!(!talk.is_empty(), "{name} says nothing");
    for (at, line) in talk {
        stage.act(&format!("{name}.txt:{at}: {line}"), line).await;
    }
    stage.end(name).await;
}

fn set(mut options: Options, (at, line): (usize, &str)) -> Options {
    let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("line {at}: {line:?} is no setting"));
    match (key, value.trim()) {
        ("script", words) => options.script = Step::parse_script(words).unwrap(),
        ("auto-reverse", value) => options.auto_reverse = value == "yes",
        ("reuses-numbers", value) => options.reuses_numbers = value == "yes",
        ("check-password", value) => options.check_password = value == "yes",
        ("first-receipt", number) => options.first_receipt = number.parse().unwrap(),
        ("slips", "lines") => options.slips = Slips::Lines,
        ("slips", "block") => options.slips = Slips::Block,
        _ => panic!("line {at}: unknown setting {line:?}"),
    }
    options
}

struct Stage {
    simulator: Simulator,
    ecr: Ecr,
    ledger_lines: usize,
    faults: usize,
}

impl Stage {
    async fn new(simulator: Simulator) -> Stage {
        let ecr = Ecr::connect(simulator.addr()).await;
        Stage { simulator, ecr, ledger_lines: 0, faults: 0 }
    }

    async fn act(&mut self, place: &str, line: &str) {
        let (who, what) = line.split_once('>').unwrap();
        match (who, what.trim()) {
            ("ECR", bytes) => self.ecr.send(bytes).await,
            ("PT", "closed") => self.ecr.expect_end(place).await,
            ("PT", pattern) => self.ecr.expect(place, pattern).await,
            ("RAW", pattern) => self.ecr.expect_raw(place, pattern).await,
            ("LINK", "again") => self.ecr = Ecr::connect(self.simulator.addr()).await,
            ("LEDGER", expected) => self.expect_booking(place, expected).await,
            ("FAULT", part) => {
                self.faults += 1;
                let faults = self.simulator.protocol_faults();
                let fault = faults.get(self.faults - 1).cloned().unwrap_or_default();
                assert!(fault.contains(part), "{place}\n  faults: {faults:?}");
            }
            _ => panic!("{place}: nobody can say that"),
        }
    }

    /// Waits for the line, because a terminal whose link has broken books on its own.
    async fn expect_booking(&mut self, place: &str, expected: &str) {
        let ledger = || LedgerEntry::parse_all(&std::fs::read_to_string(self.simulator.ledger_path()).unwrap());
        let mut seen = None;
        let found = async {
            while seen.is_none() {
                tokio::task::yield_now().await;
                seen = ledger().unwrap().get(self.ledger_lines).map(wording);
            }
        };
        assert!(tokio::time::timeout(PATIENCE, found).await.is_ok(), "{place}\n  it is not in the ledger");
        assert_eq!(seen.as_deref(), Some(expected), "{place}");
        self.ledger_lines += 1;
    }

    async fn end(self, name: &str) {
        let ledger = self.simulator.ledger();
        assert_eq!(ledger.len(), self.ledger_lines, "{name}: the ledger holds more: {ledger:?}");
        let faults = self.simulator.protocol_faults();
        assert_eq!(faults.len(), self.faults, "{name}: {faults:?}");
        self.simulator.stop().await;
    }
}

fn wording(entry: &LedgerEntry) -> String {
    let event = match entry.event {
        LedgerEvent::Booked => "booked",
        LedgerEvent::Reversed => "reversed",
    };
    format!("{event} {} {} {}", entry.operation, entry.amount, entry.receipt_number)
}

#[test]
fn patterns() {
    assert!(fits("04 0F .. 27 00 .. ?? 01", &hex("04 0F 05 27 00 0C 99 01")));
    assert!(!fits("04 0F .. 27 05 ..", &hex("04 0F 05 27 00 0C 99 01")));
    assert!(!fits("06 0F 00", &hex("06 0F 00 00")));
    assert!(!fits("06 0F 00 ??", &hex("06 0F 00")));
}
