//! What every test of the journal needs: events in readable text, and a journal in a folder of its own.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tillswitch::code::Code;
use tillswitch::journal::{
    Actor, Admission, Begun, Disk, End, Journal, Keys, NewPayment, Options, RepeatRule, SqliteJournal, State,
    TerminalKey, Verdict,
};
use tillswitch_core::{Approval, Currency, Details, Document, Identity, Money, Operation, Outcome, PaymentId};

/// The window of every test, and an arrival behind it.
pub const WINDOW: Duration = Duration::from_secs(600);
const LATER: Duration = Duration::from_secs(660);

/// An event, with everything that the rules look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub guid: Option<String>,
    pub made: Option<String>,
    pub document: Option<Document>,
    pub operation: Operation,
    pub register: String,
    pub amount: Money,
    pub later: bool,
    pub allow: bool,
    pub admission: Admission,
}

impl Event {
    /// Reads `guid=a made=1 doc=7/invoice op=refund reg=POS-02 25.90 later allow queue`; every word may be missing.
    pub fn parse(text: &str) -> Event {
        let mut event = Event {
            guid: None,
            made: None,
            document: None,
            operation: Operation::Sale,
            register: "POS-01".into(),
            amount: Money::from_minor(2590, Currency::EUR),
            later: false,
            allow: false,
            admission: Admission::Dispatch,
        };
        for word in text.split_whitespace() {
            event.take(word);
        }
        event
    }

    fn take(&mut self, word: &str) {
        match word.split_once('=') {
            Some(("guid", guid)) => self.guid = Some(guid.into()),
            Some(("made", made)) => self.made = Some(made.into()),
            Some(("doc", document)) => self.document = Some(parse_document(document)),
            Some(("op", operation)) => self.operation = operation.parse().unwrap(),
            Some(("reg", register)) => self.register = register.into(),
            Some((key, _)) => panic!("unknown key {key}"),
            None => self.take_flag(word),
        }
    }

    fn take_flag(&mut self, word: &str) {
        match word {
            "later" => self.later = true,
            "allow" => self.allow = true,
            "queue" => self.admission = Admission::Queue,
            "refuse" => self.admission = Admission::Refuse,
            "too-old" => self.admission = Admission::TooOld("it is an hour old".into()),
            amount => self.amount = parse_amount(amount),
        }
    }

    /// Stands for the hash: equal exactly if what it is made of is equal.
    fn content(&self) -> String {
        let Event { register, document, operation, amount, made, .. } = self;
        format!("v1:{register}|{document:?}|{operation}|{amount}|{made:?}")
    }

    pub fn request(&self) -> NewPayment {
        let now = SystemTime::now();
        NewPayment {
            id: PaymentId::generate(),
            keys: Keys::Event { guid: self.guid.clone(), content: self.content(), has_created_at: self.made.is_some() },
            operation: self.operation,
            amount: self.amount,
            tip_minor: None,
            register: self.register.clone(),
            terminal: terminal(),
            document: self.document.clone(),
            accept_partial: false,
            received_at: if self.later { now + LATER } else { now },
            admission: self.admission.clone(),
            repeat: RepeatRule { window: WINDOW, allow: self.allow, confirmed: false },
            undoes: None,
            again_of: None,
            evidence: "an event arrived".into(),
        }
    }
}

fn parse_document(text: &str) -> Document {
    let (number, kind) = text.split_once('/').unwrap_or((text, "invoice"));
    Document { number: number.into(), kind: Some(kind.into()) }
}

fn parse_amount(text: &str) -> Money {
    match text.strip_suffix("CHF") {
        Some(francs) => Money::parse(francs, "CHF".parse().unwrap()).unwrap(),
        None => Money::parse(text, Currency::EUR).unwrap(),
    }
}

pub fn terminal() -> TerminalKey {
    TerminalKey {
        name: "counter".into(),
        driver: "zvt-tcp".into(),
        identity: Identity { address: "192.168.1.100:20007".into(), ..Identity::default() },
    }
}

pub fn approval(amount: Money) -> Outcome {
    Outcome::Approved(Approval { amount, details: Details::new("00", "approved") })
}

/// The end that leads into `state`, as a driver would say it.
pub fn end(state: State, amount: Money) -> End {
    let verdict = match state {
        State::Approved => Verdict::Said { outcome: approval(amount) },
        State::Declined => Verdict::Said { outcome: Outcome::Declined(Details::new("05", "declined")) },
        State::Cancelled => Verdict::Said { outcome: Outcome::Cancelled(Details::new("6c", "cancelled")) },
        State::InDoubt => Verdict::because(Code::InDoubt, "the link broke"),
        _ => Verdict::because(Code::TerminalBusy, "it never became free"),
    };
    End {
        state,
        verdict,
        actor: Actor::Driver,
        evidence: format!("now {state}"),
        at: SystemTime::now(),
        release_keys: state == State::Expired,
    }
}

/// A folder with a journal in it.
pub struct Shop {
    pub journal: SqliteJournal,
    folder: TempDir,
}

impl Shop {
    pub fn open() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&file(folder.path()), options()).unwrap();
        Shop { journal, folder }
    }

    pub fn on(disk: TestDisk) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open_on(&file(folder.path()), options(), Box::new(disk)).unwrap();
        Shop { journal, folder }
    }

    pub fn path(&self) -> PathBuf {
        file(self.folder.path())
    }

    /// Opens the same file again, without closing it first.
    pub fn reopen(self) -> Shop {
        drop(self.journal);
        let journal = SqliteJournal::open(&file(self.folder.path()), options()).unwrap();
        Shop { journal, folder: self.folder }
    }

    /// Begins a payment that must be new.
    pub async fn begin(&self, event: &str) -> PaymentId {
        let request = Event::parse(event).request();
        let id = request.id;
        let begun = self.journal.begin(request).await.unwrap();
        assert!(matches!(begun, Begun::New { .. }), "{event}: {begun:?}");
        id
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("state").join("payments.db")
}

pub fn options() -> Options {
    Options { min_free: 0, queue: 256, reads: 256 }
}

/// Runs a script against a fresh journal. One step a line: an event `-> ` what it is answered, `again -> ` the same event once
/// more, or `approve A`, `doubt A`, `deliver A`, `restart`, … for the payment that `new A` named.
pub async fn check(script: &str) {
    let mut play = Play { shop: Shop::open(), names: HashMap::new(), last: None };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once("->") {
            Some((event, expected)) => play.event(line, event.trim(), expected.trim()).await,
            None => play.act(line).await,
        }
    }
}

struct Play {
    shop: Shop,
    names: HashMap<PaymentId, (String, Money)>,
    last: Option<Event>,
}

impl Play {
    async fn event(&mut self, line: &str, event: &str, expected: &str) {
        let again = event.strip_prefix("again");
        let event = match again {
            Some(words) => {
                let mut last = self.last.clone().expect("an event to repeat");
                words.split_whitespace().for_each(|word| last.take(word));
                last
            }
            None => Event::parse(event),
        };
        let request = event.request();
        let (id, amount) = (request.id, request.amount);
        let begun = self.shop.journal.begin(request).await.unwrap();
        if let (Begun::New { .. }, Some(name)) = (&begun, expected.strip_prefix("new ")) {
            let name = name.split_whitespace().next().unwrap();
            self.names.insert(id, (name.into(), amount));
        }
        let stored = self.shop.journal.payment(id).await.unwrap().is_some();
        assert_eq!(self.describe(&begun, id), expected, "{line}");
        let keeps = matches!(begun, Begun::New { .. }) && event.admission != Admission::Refuse;
        assert_eq!(stored, keeps, "{line}: a row of its own");
        self.last = Some(event);
    }

    fn describe(&self, begun: &Begun, id: PaymentId) -> String {
        let name = |id: PaymentId| self.names.get(&id).map_or("?", |(name, _)| name.as_str());
        match begun {
            Begun::New { original: None } if self.names.contains_key(&id) => format!("new {}", name(id)),
            Begun::New { original: None } => "new".into(),
            Begun::New { original: Some(sale) } => format!("new {} from {}", name(id), name(sale.id)),
            Begun::SameEvent(first) => format!("event {} {}", name(first.id), first.state),
            Begun::SameDocument(first) => format!("joins {} {}", name(first.id), first.state),
            Begun::Conflict { code, first, repeated } => {
                format!("{code} {}{}", name(first.id), if *repeated { " again" } else { "" })
            }
        }
    }

    async fn act(&mut self, line: &str) {
        let (verb, name) = line.split_once(' ').unwrap_or((line, ""));
        if verb == "restart" {
            self.shop.journal.recover().await.unwrap();
            return;
        }
        let (id, (_, amount)) = self.names.iter().find(|(_, (known, _))| known == name).expect("a payment's name");
        match verb {
            "approve" => self.finish(*id, State::Approved, *amount).await,
            "approve-10.00" => self.finish(*id, State::Approved, parse_amount("10.00")).await,
            "decline" => self.finish(*id, State::Declined, *amount).await,
            "cancel" => self.finish(*id, State::Cancelled, *amount).await,
            "fail" => self.finish(*id, State::Failed, *amount).await,
            "expire" => self.finish(*id, State::Expired, *amount).await,
            "doubt" => self.finish(*id, State::InDoubt, *amount).await,
            "deliver" => self.shop.journal.answer_delivered(*id),
            _ => panic!("unknown step {line}"),
        }
    }

    async fn finish(&self, id: PaymentId, state: State, amount: Money) {
        self.shop.journal.finish(id, end(state, amount)).await.unwrap();
    }
}

/// A disk that counts its commits and fails when it is told to.
#[derive(Clone, Default)]
pub struct TestDisk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    commits: usize,
    fail_at: Option<(usize, Failing)>,
    free: Option<u64>,
}

/// When a commit fails: before anything reached the disk, or when all of it had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failing {
    Before,
    After,
}

impl TestDisk {
    pub fn failing(commit: usize, when: Failing) -> TestDisk {
        let disk = TestDisk::default();
        disk.0.lock().unwrap().fail_at = Some((commit, when));
        disk
    }

    pub fn commits(&self) -> usize {
        self.0.lock().unwrap().commits
    }

    /// Says from now on that so much is free.
    pub fn set_free(&self, bytes: u64) {
        self.0.lock().unwrap().free = Some(bytes);
    }
}

impl Disk for TestDisk {
    fn commit(&mut self, commit: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
        let mut state = self.0.lock().unwrap();
        state.commits += 1;
        match state.fail_at {
            Some((at, Failing::Before)) if at == state.commits => Err("disk I/O error".into()),
            Some((at, Failing::After)) if at == state.commits => {
                commit()?;
                Err("disk I/O error".into())
            }
            _ => commit(),
        }
    }

    fn free(&mut self, _: &Path) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().free.unwrap_or(u64::MAX))
    }
}
