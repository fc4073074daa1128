//! Is every journal that a Tillswitch has ever written still read, word for word?
//!
//! Each folder `version-N` holds the journal that a router of schema version N left when it was cut off in the middle of its
//! work, and beside it what it says. They are never changed: a change that this test notices loses somebody's payments.
//! [`super::old_written`] has made them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;
use tillswitch::journal::{History, Incident, Journal, JournalError, Payment, SqliteJournal, State, Verdict};
use tillswitch::shop::{Plan, Reply, Sale, Shop};
use tillswitch_core::{Details, Outcome};
use tillswitch_zvt::simulator::Options;

use crate::bench::options;

/// The project of the register in every old journal.
pub const PROJECT: &str = "3f942a4b-728c-4c1b-8c7c-3499f28744a1";

/// An event of the run that an old journal comes from, so that it can be delivered again for ever.
pub fn event(document: &str, amount: &str) -> Sale {
    let sale = Sale::new(PROJECT, amount, document).with("createdAt", "2026-01-02T10:00:00+01:00");
    sale.with("guid", format!("guid-{document}"))
}

/// The folders of old journals.
fn versions() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let versions: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(!versions.is_empty(), "the old journals are gone");
    versions
}

/// A copy of an old journal, where a router looks for its own.
fn copied(version: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("tillswitch-state");
    fs::create_dir(&state_dir).unwrap();
    let path = state_dir.join("payments.db");
    fs::copy(version.join("payments.db"), &path).unwrap();
    (folder, path)
}

#[tokio::test]
async fn every_payment_reads_back_as_it_was_written() {
    for version in versions() {
        let (_folder, path) = copied(&version);
        let journal = SqliteJournal::open(&path, options()).unwrap();
        let (read, written) = (told(&journal).await, fs::read_to_string(version.join("payments.txt")).unwrap());
        assert_eq!(read, written, "{}", version.display());
        for state in State::ALL {
            assert!(written.contains(&format!("\n  {state}: ")), "{} has no payment {state}", version.display());
        }
    }
}

/// What was open when it was cut off is settled as after any crash, and only that changes.
#[tokio::test]
async fn its_open_payments_are_recovered() {
    for version in versions() {
        let (_folder, path) = copied(&version);
        let journal = SqliteJournal::open(&path, options()).unwrap();
        let before = payments(&journal).await;
        let open = |state: State| before.iter().filter(|payment| payment.state == state).count();
        let recovered = journal.recover().await.unwrap();
        assert_eq!((recovered.in_doubt, recovered.expired), (open(State::Dispatched), open(State::Received)));
        for (before, after) in before.iter().zip(payments(&journal).await) {
            let expected = match before.state {
                State::Dispatched => State::InDoubt,
                State::Received => State::Expired,
                state => state,
            };
            assert_eq!((after.id, after.state), (before.id, expected));
        }
    }
}

/// A whole router works on it: what it knows is answered from it, and what it does not know is paid.
#[tokio::test]
async fn a_router_goes_on_with_it() {
    for version in versions() {
        let (folder, _) = copied(&version);
        let counter = Options::fast(folder.path().join("counter.jsonl"));
        let plan = Plan::new().zvt("counter", counter).register("POS-01", PROJECT, "counter");
        let shop = Shop::open(plan, folder.path(), tillswitch::drivers::builtin()).await.unwrap();
        check(&shop, event("approved", "25.90"), "200 success  replayed").await;
        check(&shop, event("approved", "25.91"), "409 error conflicting-repeat").await;
        check(&shop, event("declined", "11.00"), "402 declined declined replayed").await;
        check(&shop, event("dispatched", "16.00"), "504 in_doubt in-doubt replayed").await;
        check(&shop, event("dispatched", "16.00").with("guid", "another"), "409 error document-in-doubt").await;
        // It was never given to the terminal, so its keys are free.
        check(&shop, event("received", "17.00"), "200 success ").await;
        check(&shop, event("new", "30.00"), "200 success ").await;
        assert_eq!(shop.premises.zvt["counter"].money_commands(), 2);
        shop.close().await;
    }
}

async fn check(shop: &Shop, event: Sale, expected: &str) {
    let reply: Reply = shop.till.send(&event).await.unwrap();
    let replayed = if reply.is_replayed() { " replayed" } else { "" };
    let heard = format!("{} {} {}{replayed}", reply.status, reply.word(), reply.code());
    assert_eq!(heard, expected, "{}", reply.text);
}

#[tokio::test]
async fn a_state_of_a_later_version_is_refused_and_never_skipped() {
    let (_folder, path) = copied(&versions()[0]);
    let other = Connection::open(&path).unwrap();
    let changed = other.execute("UPDATE payments SET state = 'teleported' WHERE state = 'dispatched'", []).unwrap();
    assert_eq!(changed, 1);
    drop(other);
    match SqliteJournal::open(&path, options()) {
        Err(JournalError::Damaged(why)) => {
            for part in ["teleported", "start the Tillswitch that wrote it", "received, dispatched"] {
                assert!(why.contains(part), "{why}");
            }
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a journal with a payment in an unknown state was opened"),
    }
}

async fn payments(journal: &SqliteJournal) -> Vec<Payment> {
    let mut payments = tillswitch::oracle::payments(journal).await.unwrap();
    payments.sort_by_key(|payment| payment.id);
    payments
}

/// Everything that a journal says of its payments, one fact a line. Written out by hand: a new field of some type changes
/// nothing here.
pub async fn told(journal: &SqliteJournal) -> String {
    let mut text = String::from("What the journal beside this file says.\n");
    for payment in payments(journal).await {
        let history = journal.history(payment.id).await.unwrap().unwrap();
        write(&mut text, &history).unwrap();
    }
    text
}

fn write(text: &mut String, history: &History) -> std::fmt::Result {
    let payment = &history.payment;
    let document = payment.document.as_ref().map(|document| (&document.number, &document.kind));
    let times = [Some(payment.received_at), payment.dispatched_at, payment.finished_at];
    let times = times.map(|at| at.map_or("-".to_owned(), tillswitch::answer::rfc3339));
    let terminal = &payment.terminal;
    writeln!(text, "\npayment {}", payment.id)?;
    writeln!(text, "  {}: {}", payment.state, payment.verdict.as_ref().map_or("running".to_owned(), verdict))?;
    writeln!(text, "  {} of {}, tip {:?}, {:?}", payment.operation, payment.amount, payment.tip_minor, document)?;
    writeln!(text, "  at {} {} {} {}", payment.register, terminal.name, terminal.driver, terminal.identity.address)?;
    writeln!(text, "  received {}, dispatched {}, finished {}", times[0], times[1], times[2])?;
    writeln!(text, "  undoes {:?}, again of {:?}", payment.original, payment.again_of)?;
    let flags = (payment.accept_partial, payment.waits_for_person, payment.answer_delivered);
    writeln!(text, "  accepts a part, waits for a person, was told: {flags:?}")?;
    writeln!(text, "  notes {:?}", payment.notes)?;
    writeln!(text, "  recorded {}", payment.recorded.as_ref().map_or("-".to_owned(), outcome))?;
    for row in &history.transitions {
        let at = tillswitch::answer::rfc3339(row.at);
        writeln!(text, "  {} {at} {} by {}: {}", row.number, row.state, row.actor, row.evidence)?;
    }
    for receipt in &history.receipts {
        writeln!(text, "  slip of {}: {:?}", receipt.kind.name(), receipt.text)?;
    }
    for Incident { at, message, said } in &history.incidents {
        let said = said.as_ref().map_or("-".to_owned(), outcome);
        writeln!(text, "  incident {}: {message}; {said}", tillswitch::answer::rfc3339(*at))?;
    }
    Ok(())
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Said { outcome: said } => format!("said {}", outcome(said)),
        Verdict::Because { code, message } => format!("because {code}: {message}"),
    }
}

fn outcome(outcome: &Outcome) -> String {
    let amount = match outcome {
        Outcome::Approved(approval) => format!(" of {}", approval.amount),
        Outcome::Declined(_) | Outcome::Cancelled(_) => String::new(),
    };
    format!("{}{amount}, {}", outcome.name(), details(outcome.details()))
}

fn details(details: &Details) -> String {
    let Details { code, message, receipt_number, trace_number, terminal_id, card, .. } = details;
    let card = card.as_ref().map(|card| (&card.scheme, &card.last4));
    format!("{code} {message:?}, receipt {receipt_number:?}, trace {trace_number:?}, at {terminal_id:?}, card {card:?}")
}
