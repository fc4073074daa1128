//! Which step of a payment did a kill meet, in the words of the design?

use std::collections::HashMap;
use std::path::Path;

use tempfile::TempDir;
use tillswitch::journal::{Filter, Journal, JournalError, Options, SqliteJournal, State};
use tillswitch::oracle::{self, Told};

use crate::counter::Terminal;
use crate::shim::{Call, Kind, Point, Role};

/// How far a payment has come in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// It is not there.
    Nothing,
    /// It waits.
    Received,
    /// Its terminal may be asked.
    Dispatched,
    /// What the terminal was like is noted.
    Remembered,
    /// What the terminal said is stored.
    Recorded,
    /// So is its slip.
    Slip,
    /// It has its end.
    Finished,
    /// So has its answer.
    Delivered,
}

/// What the journal said when the router died.
pub async fn reached(state_dir: &Path, documents: usize) -> Result<Vec<Reached>, JournalError> {
    let (_folder, journal) = copy(state_dir)?;
    let mut found = Vec::new();
    for number in 1..=documents {
        found.push(reached_by(&journal, &number.to_string()).await?);
    }
    journal.close().await;
    Ok(found)
}

/// What was told and is not in the journal that the router left behind: before it starts again, and before any terminal is asked.
pub async fn told_and_gone(state_dir: &Path, told: &[Told]) -> Result<Vec<String>, JournalError> {
    let (_folder, journal) = copy(state_dir)?;
    let payments = oracle::payments(&journal).await?;
    journal.close().await;
    let states: HashMap<String, String> =
        payments.iter().map(|payment| (payment.id.to_string(), payment.state.to_string())).collect();
    let is_gone = |told: &&Told| {
        let payment = &told.body["payment"];
        let (id, state) = (payment["id"].as_str().unwrap_or_default(), payment["state"].as_str().unwrap_or_default());
        ["approved", "declined", "cancelled"].contains(&state) && states.get(id).is_none_or(|now| now != state)
    };
    let words = |told: &Told| format!("I7: told, and gone from the journal: {}", told.body["payment"]);
    Ok(told.iter().filter(is_gone).map(words).collect())
}

/// A copy of the journal, in a folder that goes with it. Opening the journal itself would change it.
fn copy(state_dir: &Path) -> Result<(TempDir, SqliteJournal), JournalError> {
    let folder = tempfile::tempdir().expect("there is room for a small folder");
    for name in ["payments.db", "payments.db-wal"] {
        // Where there is no file yet there is none to copy.
        let _ = std::fs::copy(state_dir.join(name), folder.path().join(name));
    }
    let journal = SqliteJournal::open(&folder.path().join("payments.db"), Options::default())?;
    Ok((folder, journal))
}

async fn reached_by(journal: &SqliteJournal, document: &str) -> Result<Reached, JournalError> {
    let filter = Filter { document: Some(document.into()), limit: 1, ..Filter::default() };
    let Some(payment) = journal.search(filter).await?.pop() else { return Ok(Reached::Nothing) };
    let Some(history) = journal.history(payment.id).await? else { return Ok(Reached::Nothing) };
    let payment = &history.payment;
    Ok(match payment.state {
        State::Received => Reached::Received,
        State::Dispatched if !history.receipts.is_empty() => Reached::Slip,
        State::Dispatched if payment.recorded.is_some() => Reached::Recorded,
        State::Dispatched if payment.notes.iter().next().is_some() => Reached::Remembered,
        State::Dispatched => Reached::Dispatched,
        _ if payment.answer_delivered => Reached::Delivered,
        _ => Reached::Finished,
    })
}

/// The step that a commit makes behind what was reached.
fn next(terminal: Terminal, reached: Reached, waits: bool, slips: bool) -> &'static [&'static str] {
    match reached {
        Reached::Nothing if waits => &["received"],
        Reached::Nothing => &["received", "dispatched"],
        Reached::Received => &["dispatched"],
        Reached::Dispatched if terminal == Terminal::Http => &["recorded"],
        Reached::Dispatched => &["remembered"],
        Reached::Remembered => &["recorded"],
        Reached::Recorded if slips && terminal != Terminal::Http => &["slip"],
        Reached::Recorded | Reached::Slip => &["finished"],
        Reached::Finished | Reached::Delivered => &["delivered"],
    }
}

/// The step that was made last.
fn last(reached: Reached, waits: bool) -> &'static [&'static str] {
    match reached {
        Reached::Nothing => &[],
        Reached::Received => &["received"],
        Reached::Dispatched if waits => &["dispatched"],
        Reached::Dispatched => &["received", "dispatched"],
        Reached::Remembered => &["remembered"],
        Reached::Recorded => &["recorded"],
        Reached::Slip => &["slip"],
        Reached::Finished => &["finished"],
        Reached::Delivered => &["delivered"],
    }
}

/// What was met: the steps, and where in them.
pub struct Met {
    /// The terminal of the payment.
    pub terminal: Terminal,
    /// Whether it waited for its turn.
    pub waits: bool,
    /// Whether its slip is stored as well.
    pub slips: bool,
    /// What was reached by then.
    pub reached: Reached,
    /// Where in the last call.
    pub point: Point,
}

impl Met {
    /// In words. `calls` are those that were counted, the last one included.
    pub fn words(&self, calls: &[Call]) -> Vec<String> {
        let Some(call) = calls.last() else { return Vec::new() };
        let written = call.kind == Kind::Write && is_commit(calls) && self.point == Point::After;
        let (steps, place) = match (call.kind, self.point) {
            (Kind::Send, point) => return self.sent(call, calls, point),
            (Kind::Sync, Point::After) => (last(self.reached, self.waits), "after the sync"),
            (Kind::Sync, _) => (last(self.reached, self.waits), "after the write before the sync"),
            _ if written => (last(self.reached, self.waits), "after the write before the sync"),
            _ => (next(self.terminal, self.reached, self.waits, self.slips), "before the write"),
        };
        steps.iter().map(|step| self.named(step, place)).collect()
    }

    fn sent(&self, call: &Call, calls: &[Call], point: Point) -> Vec<String> {
        let step = match call.role {
            Role::Till => "answered",
            _ if is_money_command(call) => "sent",
            _ if is_acknowledgement(self.terminal, calls) => "acknowledged",
            _ => "talked",
        };
        let place = match point {
            Point::Before => "before it is sent",
            Point::Torn => "half sent",
            Point::After => "after it is sent",
        };
        vec![self.named(step, place)]
    }

    fn named(&self, step: &str, place: &str) -> String {
        met_name(self.terminal, step, place)
    }
}

fn met_name(terminal: Terminal, step: &str, place: &str) -> String {
    format!("{} {step}, {place}", terminal.name())
}

/// Everything that has to be met at a terminal.
pub fn required(terminal: Terminal) -> Vec<String> {
    let is_zvt = terminal != Terminal::Http;
    let written = ["received", "dispatched", "recorded", "finished"].into_iter().chain(is_zvt.then_some("remembered"));
    let sent = ["sent", "answered"].into_iter().chain(is_zvt.then_some("acknowledged"));
    let places = ["before the write", "after the write before the sync", "after the sync"];
    let lines = ["before it is sent", "half sent", "after it is sent"];
    let written = written.flat_map(|step| places.map(|place| met_name(terminal, step, place)));
    let sent = sent.flat_map(|step| lines.map(|place| met_name(terminal, step, place)));
    written.chain(sent).collect()
}

/// Whether the last of these calls writes the page that ends a commit: its frame's head names the size of the database.
pub fn is_commit(calls: &[Call]) -> bool {
    let [.., head, page] = calls else { return false };
    let is_log = |call: &Call| (call.role, call.kind) == (Role::Log, Kind::Write);
    is_log(head) && is_log(page) && head.size == 24 && page.size > 24 && head.head.get(8..16) != Some("00000000")
}

/// 06 01, or a request.
pub fn is_money_command(call: &Call) -> bool {
    let heads = ["0601", "10020601", "504f5354"];
    call.role == Role::Terminal && heads.iter().any(|head| call.head.starts_with(head))
}

fn is_positive_answer(call: &Call) -> bool {
    call.role == Role::Terminal && ["800000", "1002800000"].iter().any(|head| call.head.starts_with(head))
}

/// Whether the last of these calls acknowledges the result: the first 80 00 00 behind the commit that followed the last answer
/// behind the money command.
pub fn is_acknowledgement(terminal: Terminal, calls: &[Call]) -> bool {
    let Some((last, before)) = calls.split_last() else { return false };
    let Some(command) = before.iter().rposition(is_money_command) else { return false };
    let commits = before[command..].iter().filter(|call| (call.role, call.kind) == (Role::Log, Kind::Sync)).count();
    let since = before.iter().rposition(|call| (call.role, call.kind) == (Role::Log, Kind::Sync)).unwrap_or_default();
    let answered = before[since..].iter().any(is_positive_answer);
    terminal != Terminal::Http && is_positive_answer(last) && commits == 1 && !answered
}
