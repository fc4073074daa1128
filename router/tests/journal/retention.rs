//! What is forgotten after its years, what never is, and what nobody can make the journal forget.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, params};
use tillswitch::app::App;
use tillswitch::config::Config;
use tillswitch::journal::{
    Begun, End, Filter, Forgotten, History, Incident, Journal, JournalError, Options, SqliteJournal, State,
};
use tillswitch_core::{Currency, Money, PaymentId, Receipt, ReceiptKind};

use crate::bench::{Event, Failing, Shop, TestDisk, end, options};

const DAY: Duration = Duration::from_secs(86_400);
/// The retention of every test.
const RETENTION: Duration = Duration::from_secs(100 * 86_400);
/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);
/// Every table that keeps something of a payment.
const KEPT: [&str; 5] = ["transitions", "notes", "events", "receipts", "incidents"];

fn ago(days: u32) -> SystemTime {
    SystemTime::now() - DAY * days
}

fn micros(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as i64
}

fn payments(payments: usize) -> Forgotten {
    Forgotten { payments, of_terminals: 0 }
}

impl Shop {
    /// Another program at the file.
    fn other(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// A payment of so many days ago in this state, with something of everything that is kept of one. One that is to be
    /// received comes as `queue`, an expired one as `too-old`.
    async fn aged(&self, days: u32, event: &str, state: State) -> PaymentId {
        let mut request = Event::parse(event).request();
        request.received_at = ago(days);
        let (id, amount) = (request.id, request.amount);
        assert!(matches!(self.journal.begin(request).await, Ok(Begun::New { .. })), "{event}");
        let said = Incident { at: ago(days), message: "late".into(), said: None };
        self.journal.incident(Some(id), "counter", said).await.unwrap();
        if state != State::Received {
            self.journal.remember(id, vec![("previous".into(), "0041".into())]).await.unwrap();
            self.slip(Some(id), days);
        }
        if !matches!(state, State::Received | State::Dispatched | State::Expired) {
            self.journal.finish(id, End { at: ago(days), ..end(state, amount) }).await.unwrap();
        }
        id
    }

    /// Six payments on the six days before today: with one of today, the clock is believed again after any silence.
    async fn week(&self) {
        for day in (1..=6).rev() {
            self.aged(day, &format!("guid=day-{day}"), State::Approved).await;
        }
    }

    /// A slip of so many days ago. The journal itself gives a slip the present time.
    fn slip(&self, payment: Option<PaymentId>, days: u32) {
        let sql = "INSERT INTO receipts (payment, terminal, at, kind, text)
                   VALUES ((SELECT seq FROM payments WHERE id = ?1), 'counter', ?2, 'merchant', 'PAID')";
        self.other().execute(sql, params![payment.map(|id| id.to_string()), micros(ago(days))]).unwrap();
    }

    async fn forget(&self) -> Forgotten {
        self.journal.forget(RETENTION).await.unwrap()
    }

    async fn history(&self, id: PaymentId) -> Option<History> {
        self.journal.history(id).await.unwrap()
    }

    /// How many rows each of these tables has.
    fn rows(&self, tables: &[&str]) -> Vec<i64> {
        let count = |table: &&str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.other().query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        tables.iter().map(count).collect()
    }

    /// Waits until a table has so many rows, without letting a paused clock run.
    async fn until_rows(&self, table: &str, rows: i64) {
        let asked = Instant::now();
        while self.rows(&[table]) != [rows] {
            assert!(asked.elapsed() < PATIENCE, "{table}: {:?}", self.rows(&[table]));
            tokio::task::yield_now().await;
        }
    }

    /// Nothing may be deleted any more, and nothing belongs to a payment that is not there.
    fn check_order(&self) {
        let other = self.other();
        let permitted: Option<i64> =
            other.query_row("SELECT forgets_before FROM retention", [], |row| row.get(0)).unwrap();
        assert_eq!(permitted, None);
        let lost = other.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!lost, "a row without its payment");
    }
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_with_everything() {
    for state in State::ALL.into_iter().filter(|state| state.is_final()) {
        let shop = Shop::open();
        let how = if state == State::Expired { "too-old" } else { "" };
        let old = shop.aged(101, &format!("guid=a doc=7 {how}"), state).await;
        shop.week().await;
        let young = shop.aged(0, &format!("guid=b doc=8 {how}"), state).await;
        let kept = shop.history(young).await;
        assert!(shop.rows(&KEPT).iter().all(|rows| *rows >= 2), "{:?}", shop.rows(&KEPT));
        assert_eq!(shop.forget().await, payments(1), "{state}");
        assert_eq!((shop.history(old).await, shop.history(young).await), (None, kept));
        assert_eq!(shop.rows(&["notes", "events", "receipts", "incidents"]), [7, 7, 7, 7]);
        shop.check_order();
        assert_eq!(shop.forget().await, payments(0), "twice is the same as once");
    }
}

#[tokio::test]
async fn what_is_younger_than_the_retention_stays() {
    let shop = Shop::open();
    let young = shop.aged(99, "guid=a doc=7", State::Approved).await;
    shop.aged(0, "guid=b doc=8", State::Approved).await;
    assert_eq!(shop.forget().await, payments(0));
    assert!(shop.history(young).await.is_some());
}

#[tokio::test]
async fn a_payment_counts_from_its_end() {
    let shop = Shop::open();
    let resolved = shop.aged(200, "guid=a doc=7", State::InDoubt).await;
    let late = End { at: ago(99), ..end(State::Approved, Money::from_minor(2590, Currency::EUR)) };
    shop.journal.finish(resolved, late).await.unwrap();
    shop.aged(0, "guid=b doc=8", State::Approved).await;
    assert_eq!(shop.forget().await, payments(0));
    assert!(shop.history(resolved).await.is_some());
}

#[tokio::test]
async fn what_is_not_final_is_never_forgotten() {
    let shop = Shop::open();
    let mut open = Vec::new();
    for (event, state) in
        [("guid=a doc=7 queue", State::Received), ("guid=b doc=8", State::Dispatched), ("guid=c doc=9", State::InDoubt)]
    {
        open.push(shop.aged(5000, event, state).await);
    }
    shop.aged(0, "guid=d doc=10", State::Approved).await;
    assert_eq!(shop.forget().await, payments(0));
    for id in open {
        assert!(shop.history(id).await.is_some());
    }
}

#[tokio::test]
async fn an_original_stays_as_long_as_its_refund() {
    for (refunded, state, gone) in
        [(99, State::Approved, 0), (5000, State::InDoubt, 0), (99, State::Declined, 0), (101, State::Approved, 2)]
    {
        let shop = Shop::open();
        let sale = shop.aged(6000, "guid=a doc=7", State::Approved).await;
        let refund = shop.aged(refunded, "guid=b doc=7 op=refund 1.00", state).await;
        assert_eq!(shop.history(refund).await.unwrap().payment.original, Some(sale));
        shop.week().await;
        shop.aged(0, "guid=c", State::Approved).await;
        assert_eq!(shop.forget().await, payments(gone), "{refunded} {state}");
        assert_eq!((shop.history(sale).await.is_none(), shop.history(refund).await.is_none()), (gone == 2, gone == 2));
        shop.check_order();
    }
}

#[tokio::test]
async fn something_younger_keeps_its_payment() {
    let shop = Shop::open();
    let mut kept = Vec::new();
    for event in ["guid=a doc=7", "guid=b doc=8", "guid=c doc=9"] {
        kept.push(shop.aged(101, event, State::Approved).await);
    }
    let slip = Receipt { kind: ReceiptKind::Customer, text: "printed again".into() };
    shop.journal.receipt(kept[0], slip).await.unwrap();
    let said = Incident { at: ago(1), message: "it was cancelled after all".into(), said: None };
    shop.journal.incident(Some(kept[1]), "counter", said).await.unwrap();
    let conflict = shop.journal.begin(Event::parse("guid=c doc=9 1.00").request()).await.unwrap();
    assert!(matches!(conflict, Begun::Conflict { repeated: false, .. }), "{conflict:?}");
    shop.aged(0, "guid=d", State::Approved).await;
    assert_eq!(shop.forget().await, payments(0));
    let again = shop.journal.begin(Event::parse("guid=c doc=9 1.00").request()).await.unwrap();
    assert!(matches!(again, Begun::Conflict { repeated: true, .. }), "{again:?}");
}

#[tokio::test]
async fn slips_and_incidents_of_a_terminal_go_by_their_own_time() {
    let shop = Shop::open();
    for days in [101, 99] {
        shop.slip(None, days);
        let said = Incident { at: ago(days), message: "an unknown payment".into(), said: None };
        shop.journal.incident(None, "counter", said).await.unwrap();
    }
    shop.aged(0, "guid=a", State::Declined).await;
    assert_eq!(shop.forget().await, Forgotten { payments: 0, of_terminals: 2 });
    assert_eq!(shop.rows(&["receipts", "incidents"]), [2, 2]);
    shop.check_order();
}

#[tokio::test]
async fn a_clock_that_runs_years_ahead_empties_no_journal() {
    let shop = Shop::open();
    // What the journal of yesterday looks like to a clock that woke up a year ahead.
    let yesterday = shop.aged(365, "guid=a doc=7", State::Approved).await;
    shop.slip(None, 365);
    assert_eq!(shop.forget().await, payments(0));
    assert!(shop.history(yesterday).await.is_some());
}

/// The payments of a day that lies years ahead would bear the clock out; a whole week of them does.
#[tokio::test]
async fn a_clock_that_jumps_years_ahead_is_not_believed_for_a_week() {
    let shop = Shop::open();
    let before = [shop.aged(4001, "guid=a", State::Approved).await, shop.aged(4000, "guid=b", State::Approved).await];
    shop.week().await;
    assert_eq!(shop.forget().await, payments(0));
    assert!(shop.history(before[0]).await.is_some());
    shop.aged(0, "guid=day-0", State::Approved).await;
    assert_eq!(shop.forget().await, payments(2));
}

#[tokio::test]
async fn a_payment_that_was_taken_while_the_clock_was_wrong_is_as_young_as_its_neighbours() {
    let shop = Shop::open();
    shop.aged(9, "guid=a doc=7", State::Approved).await;
    let misdated =
        [shop.aged(9000, "guid=b doc=8", State::Approved).await, shop.aged(9000, "guid=c", State::Failed).await];
    shop.aged(0, "guid=d", State::Approved).await;
    assert_eq!(shop.forget().await, payments(0));
    for id in misdated {
        assert!(shop.history(id).await.is_some());
    }
}

#[tokio::test]
async fn an_event_that_comes_again_after_its_payment_was_forgotten_is_a_new_one() {
    let shop = Shop::open();
    shop.aged(101, "guid=a made=1 doc=7", State::Approved).await;
    shop.week().await;
    shop.aged(0, "guid=b", State::Approved).await;
    let again = Event::parse("guid=a made=1 doc=7 later");
    let before = shop.journal.begin(again.request()).await.unwrap();
    assert!(matches!(before, Begun::SameEvent(_)), "{before:?}");
    assert_eq!(shop.forget().await, payments(1));
    let after = shop.journal.begin(again.request()).await.unwrap();
    assert!(matches!(after, Begun::New { original: None }), "{after:?}");
}

#[tokio::test]
async fn a_router_forgets_at_its_start_and_every_day_it_runs() {
    let shop = Shop::open();
    shop.aged(101, "guid=a doc=7", State::Approved).await;
    shop.week().await;
    shop.aged(0, "guid=b", State::Approved).await;
    let text = "state_dir = \"state\"
server.listen = \"127.0.0.1:0\"
admin.listen = \"127.0.0.1:0\"
journal.retention = \"100d\"
terminals.counter = { driver = \"zvt-tcp\", address = \"127.0.0.1:9\", connection = \"per-payment\" }
registers.POS-01 = { terminal = \"counter\", project_ids = [1] }
";
    let file = shop.path().parent().unwrap().parent().unwrap().join("tillswitch.toml");
    let config = Config::parse(text, &file, &tillswitch::drivers::builtin()).unwrap();
    let app = App::start(Arc::new(config)).await.unwrap();
    shop.until_rows("payments", 7).await;
    // The start's own work is over when what was asked after it is answered.
    for _ in 0..2 {
        assert_eq!(app.life().journal.forget(RETENTION).await, Ok(payments(0)));
    }
    // From here on a day passes only when this test lets it.
    tokio::time::pause();
    shop.slip(None, 101);
    tokio::time::advance(DAY).await;
    shop.until_rows("receipts", 7).await;
    app.stop().await;
}

/// Old payments, each with a history and its keys, written at one stroke.
fn many(shop: &Shop, count: usize) {
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO payments (id, state, operation, amount_minor, currency, register, terminal, driver,
            terminal_identity, document_number, accept_partial, received_at, finished_at)
        SELECT printf('019aaaaa-aaaa-7aaa-8aaa-%012d', i), 'approved', 'sale', 2590, 'EUR', 'POS-01', 'counter',
            'zvt-tcp', '{\"address\":\"192.168.1.100:20007\"}', i, 0, ?2, ?2 FROM n";
    let mut other = shop.other();
    let at = micros(ago(5000));
    let together = other.transaction().unwrap();
    together.execute(sql, params![count as i64, at]).unwrap();
    for sql in [
        "INSERT INTO transitions SELECT seq, 1, ?1, 'received', 'webhook', 'an event arrived' FROM payments",
        "INSERT INTO transitions SELECT seq, 2, ?1, 'approved', 'driver', 'now approved' FROM payments",
        "INSERT INTO events (guid, content, has_created_at, payment, register, amount_minor, currency, at)
         SELECT hex(randomblob(16)), hex(randomblob(32)), 1, seq, 'POS-01', 2590, 'EUR', ?1 FROM payments",
        "INSERT INTO receipts (payment, terminal, at, kind, text)
         SELECT seq, 'counter', ?1, 'merchant', hex(zeroblob(300)) FROM payments",
    ] {
        together.execute(sql, [at]).unwrap();
    }
    together.commit().unwrap();
}

#[tokio::test]
async fn whichever_commit_fails_a_payment_is_there_with_everything_or_gone() {
    for when in [Failing::Before, Failing::After] {
        for commit in 1..=3 {
            let shop = Shop::open();
            many(&shop, 250);
            shop.week().await;
            shop.aged(0, "guid=a", State::Approved).await;
            let young = shop.rows(&KEPT);
            let disk = TestDisk::failing(commit, when);
            let failing = SqliteJournal::open_on(&shop.path(), options(), Box::new(disk)).unwrap();
            let failed = failing.forget(RETENTION).await;
            assert_eq!(failed, Err(JournalError::ReadOnly("disk I/O error".into())));
            drop(failing);
            let shop = shop.reopen();
            let done = if when == Failing::Before { commit - 1 } else { commit };
            let left = 250_usize.saturating_sub(100 * done);
            assert_eq!(shop.rows(&["payments", "events"]), [left as i64 + 7; 2], "commit {commit} {when:?}");
            assert_eq!(shop.rows(&["transitions"]), [young[0] - 2 * (250 - left as i64)]);
            shop.check_order();
            assert_eq!(shop.forget().await, payments(left));
            assert_eq!(shop.journal.search(Filter::default()).await.unwrap().len(), 7);
        }
    }
}

#[tokio::test]
async fn forgetting_much_goes_in_steps_and_keeps_the_log_short() {
    let shop = Shop::open();
    many(&shop, 5000);
    shop.week().await;
    shop.aged(0, "guid=a", State::Approved).await;
    shop.journal.close().await;
    let disk = TestDisk::default();
    let journal = SqliteJournal::open_on(&shop.path(), options(), Box::new(disk.clone())).unwrap();
    assert_eq!(journal.forget(RETENTION).await, Ok(payments(5000)));
    // The last one finds nothing more.
    assert_eq!(disk.commits(), 51);
    let length = std::fs::metadata(format!("{}-wal", shop.path().display())).unwrap().len();
    assert!(length < 16 << 20, "{length} bytes");
}

#[tokio::test]
async fn the_last_room_is_not_spent_on_forgetting() {
    let shop = Shop::open();
    shop.aged(101, "guid=a doc=7", State::Approved).await;
    shop.aged(0, "guid=b", State::Approved).await;
    let disk = TestDisk::default();
    disk.set_free(99);
    let options = Options { min_free: 100, ..options() };
    let full = SqliteJournal::open_on(&shop.path(), options, Box::new(disk)).unwrap();
    assert!(matches!(full.forget(RETENTION).await, Err(JournalError::NoRoom(_))));
    assert_eq!(shop.rows(&["payments"]), [2]);
}

#[tokio::test]
async fn an_empty_journal_forgets_nothing() {
    assert_eq!(Shop::open().forget().await, payments(0));
}

#[tokio::test]
async fn outside_of_the_one_job_not_even_the_oldest_can_be_deleted() {
    let shop = Shop::open();
    shop.aged(5000, "guid=a doc=7", State::Approved).await;
    shop.slip(None, 5000);
    let said = Incident { at: ago(5000), message: "an unknown payment".into(), said: None };
    shop.journal.incident(None, "counter", said).await.unwrap();
    let other = shop.other();
    for table in KEPT.into_iter().chain(["payments"]) {
        other.execute(&format!("DELETE FROM {table}"), []).expect_err(table);
    }
    for table in ["receipts", "incidents"] {
        other.execute(&format!("DELETE FROM {table} WHERE payment IS NULL"), []).expect_err(table);
    }
}

#[tokio::test]
async fn inside_the_one_job_the_triggers_keep_what_has_to_stay() {
    let shop = Shop::open();
    let sale = shop.aged(6000, "guid=a doc=7", State::Approved).await;
    shop.aged(99, "guid=b doc=7 op=refund 1.00", State::Approved).await;
    shop.aged(5000, "guid=c doc=8", State::InDoubt).await;
    shop.aged(5000, "guid=d doc=9", State::Dispatched).await;
    shop.aged(99, "guid=e doc=10", State::Failed).await;
    let misfit = shop.aged(5000, "guid=f doc=11", State::Failed).await;
    shop.slip(Some(misfit), 99);
    shop.slip(None, 99);
    let said = Incident { at: ago(99), message: "an unknown payment".into(), said: None };
    shop.journal.incident(None, "counter", said).await.unwrap();
    let mut other = shop.other();
    // Without them the triggers stand alone.
    other.pragma_update(None, "foreign_keys", false).unwrap();
    let mut job = other.transaction().unwrap();
    job.execute("UPDATE retention SET forgets_before = ?1", [micros(ago(100))]).unwrap();
    let mut stays = |table: &str, row: &str| {
        let step = job.savepoint().unwrap();
        step.execute(&format!("DELETE FROM {table} WHERE {row}"), []).expect_err(&format!("{table} {row}"));
    };
    for seq in 1..=6 {
        stays("payments", &format!("seq = {seq}"));
        for table in KEPT {
            stays(table, &format!("payment = {seq}"));
        }
    }
    stays("receipts", "payment IS NULL");
    stays("incidents", "payment IS NULL");
    drop(job);
    assert!(shop.history(sale).await.is_some());
}

#[tokio::test]
async fn nobody_can_permit_more_than_the_shortest_retention() {
    let shop = Shop::open();
    let other = shop.other();
    for (statement, days) in [
        ("UPDATE retention SET forgets_before = ?1", 5),
        ("INSERT OR REPLACE INTO retention VALUES (1, ?1)", 5),
        ("INSERT OR REPLACE INTO retention VALUES (1, ?1)", 5000),
        ("INSERT INTO retention VALUES (2, ?1)", 5000),
        ("DELETE FROM retention WHERE ?1", 5000),
    ] {
        other.execute(statement, [micros(ago(days))]).expect_err(statement);
    }
    other.execute("UPDATE retention SET forgets_before = ?1", [micros(ago(7))]).unwrap();
    other.execute("UPDATE retention SET forgets_before = NULL", []).unwrap();
    // A program error that asks for less is refused as a whole, and the journal goes on.
    shop.aged(7, "guid=a", State::Approved).await;
    shop.aged(0, "guid=b", State::Approved).await;
    let refused = shop.journal.forget(DAY).await;
    assert!(matches!(refused, Err(JournalError::Damaged(_))), "{refused:?}");
    assert_eq!(shop.journal.search(Filter::default()).await.unwrap().len(), 2);
    shop.begin("guid=c").await;
}
