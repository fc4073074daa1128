//! `tillswitch demo`: a router and simulated terminals, sample webhooks, what each was answered, and what was booked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tillswitch_core::DriverRegistry;
use tillswitch_core::ledger::LedgerEvent;
use tillswitch_http::simulator::{SimulatorOptions, Step as HttpStep};
use tillswitch_zvt::simulator::{Options as ZvtOptions, ScriptedFault, Simulator, Step as ZvtStep, Timing};
use tokio::time::{Instant, sleep};

use super::exit;
use super::serve::asked_to_stop;
use super::table::Table;
use crate::oracle::{Violation, Witnesses};
use crate::shop::{Plan, Reply, Sale, Shop, get};

/// The guide's project, at register POS-01.
const GUIDE_PROJECT: &str = "3f942a4b-728c-4c1b-8c7c-3499f28744a1";
/// How many times as quick as a person the simulated customer is.
const HURRY: u32 = 15;
/// How long a payment in doubt may take to resolve here.
const RESOLVES_WITHIN: Duration = Duration::from_secs(30);
/// What goes wrong on the serial line: the terminal complains about the command, and the checksum of its result is broken.
const LINE_FAULTS: &str = "nak-frame@0601,wrong-checksum@040F";
/// The addresses of the documentation, used if they are free.
const PORTS: [u16; 2] = [5000, 5001];

/// What `tillswitch demo` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct DemoArgs {
    /// Send the sample webhooks, print what came of them, and end
    #[arg(long)]
    pub once: bool,
    /// Print JSON
    #[arg(long, requires = "once")]
    pub json: bool,
}

/// Runs the demo. Exits with 1 if terminals, journal and answers do not agree.
pub fn run(args: &DemoArgs, registry: &DriverRegistry) -> ExitCode {
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(demo(args, registry.clone())));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => exit::FAILED.into(),
        Err(message) => {
            eprintln!("the demo did not run: {message}");
            exit::UNAVAILABLE.into()
        }
    }
}

async fn demo(args: &DemoArgs, registry: DriverRegistry) -> Result<bool, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("there is no temporary folder: {error}"))?;
    let serial = serial_line(folder.path()).await;
    let plan = plan(folder.path(), args.once, serial.is_ok());
    let shop = Shop::open(plan, folder.path(), registry).await.map_err(|e| e.to_string())?;
    if !args.json {
        println!("\n{}\n", introduction(&serial));
    }
    let mut rows = sample(&shop).await.map_err(|error| error.to_string())?;
    if serial.is_ok() {
        rows.extend(serial_sample(&shop).await.map_err(|error| error.to_string())?);
    }
    let witnesses = shop.witnesses().await.map_err(|error| error.to_string())?;
    let violations = crate::oracle::violations(&witnesses);
    if args.json {
        println!("{:#}", as_json(&rows, &witnesses, &violations));
    } else {
        print_report(&rows, &witnesses, &violations);
    }
    if !args.once {
        stay(&shop).await;
    }
    shop.close().await;
    Ok(violations.is_empty())
}

/// Whether a serial line can be simulated here: that takes pseudo terminals.
async fn serial_line(folder: &Path) -> io::Result<()> {
    let trial =
        Simulator::start_serial(ZvtOptions::new(folder.join("trial.ledger")), &folder.join("trial.tty")).await?;
    trial.stop().await;
    Ok(())
}

fn introduction(serial: &io::Result<()>) -> String {
    match serial {
        Ok(()) => "A shop with three simulated terminals: counter (ZVT over TCP), bar (HTTP) and kiosk (ZVT on a serial line)."
            .to_owned(),
        Err(error) => format!(
            "A shop with two simulated terminals: counter (ZVT over TCP) and bar (HTTP).\n\
             The third, on a serial line, is left out: this machine makes no pseudo terminals ({error})."
        ),
    }
}

fn plan(folder: &Path, once: bool, with_serial: bool) -> Plan {
    let mut counter = ZvtOptions::new(folder.join("counter.ledger"));
    counter.timing = Timing::real().hurried(HURRY);
    // A terminal that keeps a booking whose acknowledgement it never got: the harder of the two kinds.
    counter.auto_reverse = false;
    counter.script = vec![ZvtStep::Approve, ZvtStep::Decline, ZvtStep::CutAfterAck];
    let mut bar = SimulatorOptions::new(folder.join("bar.ledger"));
    bar.card_time = Duration::from_millis(200);
    bar.script = vec![HttpStep::Approve];
    let [public, admin] = if once { [loopback(0), loopback(0)] } else { PORTS.map(free_or_any) };
    let plan = Plan::new()
        .listen(public, admin)
        .zvt("counter", counter)
        .http("bar", bar)
        .register("POS-01", GUIDE_PROJECT, "counter")
        .register("POS-02", "2", "bar")
        .register("POS-03", "3", "counter");
    if !with_serial {
        return plan;
    }
    let mut kiosk = ZvtOptions::new(folder.join("kiosk.ledger"));
    kiosk.timing = Timing::real().hurried(HURRY);
    kiosk.line_faults = ScriptedFault::parse_list(LINE_FAULTS).unwrap_or_default();
    plan.zvt_serial("kiosk", kiosk).register("POS-04", "4", "kiosk")
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn free_or_any(port: u16) -> SocketAddr {
    let free = TcpListener::bind(loopback(port)).is_ok();
    loopback(if free { port } else { 0 })
}

/// One webhook and its answer.
struct Row {
    what: &'static str,
    register: &'static str,
    amount: &'static str,
    reply: Reply,
}

/// The sample webhooks, one after the other.
async fn sample(shop: &Shop) -> io::Result<Vec<Row>> {
    let till = &shop.till;
    let mut rows = Vec::new();
    let mut note = |what, register, amount, reply| rows.push(Row { what, register, amount, reply });

    let sale = Sale::new(GUIDE_PROJECT, "25.90", "40001234");
    note("a sale", "POS-01", "25.90", till.send(&sale).await?);
    note("the same event delivered again", "POS-01", "25.90", till.send(&sale).await?);
    note("the cashier presses again", "POS-01", "25.90", till.send(sale.pressed_again(5)).await?);
    let declined = Sale::new(GUIDE_PROJECT, "80.00", "40001235");
    note("a card that is declined", "POS-01", "80.00", till.send(declined).await?);
    let http = Sale::new("2", "12.50", "50000001");
    note("a sale at the HTTP terminal", "POS-02", "12.50", till.send(&http).await?);
    let refund = http.pressed_again(10).with("operation", "refund").with("amount", "4.50");
    note("a refund of part of it", "POS-02", "4.50", till.send(refund).await?);
    note("a project nobody knows", "—", "9.99", till.send(Sale::new("99", "9.99", "1")).await?);

    let lost = Sale::new("3", "17.00", "60000001");
    let answer = till.send(&lost).await?;
    let payment = answer.payment().unwrap_or_default().to_owned();
    note("the link breaks after the booking", "POS-03", "17.00", answer);
    wait_until_resolved(shop, &payment).await?;
    note("that event delivered again", "POS-03", "17.00", till.send(&lost).await?);
    Ok(rows)
}

/// What a serial line repairs by itself, and an adapter that is pulled out and plugged in again.
async fn serial_sample(shop: &Shop) -> io::Result<Vec<Row>> {
    let (till, kiosk) = (&shop.till, &shop.premises.zvt["kiosk"]);
    let row = |what, amount, reply| Row { what, register: "POS-04", amount, reply };
    let disturbed = row("a sale over a bad serial line", "6.40", till.send(Sale::new("4", "6.40", "80000001")).await?);
    let sale = Sale::new("4", "8.10", "80000002");
    kiosk.listen(false).await?;
    let unplugged = row("a sale while the adapter is out", "8.10", till.send(&sale).await?);
    kiosk.listen(true).await?;
    let again = row("plugged in, the cashier tries again", "8.10", till.send(sale.pressed_again(5)).await?);
    Ok(vec![disturbed, unplugged, again])
}

/// A payment in doubt resolves by itself: the terminal is asked, nothing is sent again.
async fn wait_until_resolved(shop: &Shop, payment: &str) -> io::Result<()> {
    let until = Instant::now() + RESOLVES_WITHIN;
    while Instant::now() < until {
        let now = get(shop.app.admin, &format!("/api/v1/payments/{payment}")).await?;
        if now.body["state"] != "in_doubt" {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn print_report(rows: &[Row], witnesses: &Witnesses, violations: &[Violation]) {
    let mut answers = Table::new(&["webhook", "register", "amount", "answer", "what it says"]);
    for row in rows {
        answers.row([
            row.what.into(),
            row.register.into(),
            row.amount.into(),
            row.reply.status.to_string(),
            told(&row.reply),
        ]);
    }
    println!("What the point of sale was told:\n\n{answers}");
    println!("What the terminals booked:\n\n{}", bookings(witnesses));
    if violations.is_empty() {
        println!("Terminals, journal and answers agree: no double charge, nothing lost, no false word.");
    }
    for violation in violations {
        println!("VIOLATED {violation}");
    }
}

fn told(reply: &Reply) -> String {
    let word = match reply.code() {
        "" => reply.word().to_owned(),
        code => format!("{}: {code}", reply.word()),
    };
    let receipt = reply.body["payment"]["result"]["receipt_number"].as_str();
    let receipt = receipt.map_or(String::new(), |number| format!(", receipt {number}"));
    let replayed = if reply.is_replayed() { " (repeat, nothing started)" } else { "" };
    format!("{word}{receipt}{replayed}")
}

fn bookings(witnesses: &Witnesses) -> Table {
    let mut table = Table::new(&["terminal", "booking", "amount", "receipt"]);
    for ledger in &witnesses.ledgers {
        for entry in &ledger.entries {
            let what = match entry.event {
                LedgerEvent::Booked => entry.operation.name().to_owned(),
                LedgerEvent::Reversed => format!("{} taken back", entry.operation),
            };
            table.row([ledger.terminal.clone(), what, entry.amount.to_string(), entry.receipt_number.clone()]);
        }
    }
    table
}

fn as_json(rows: &[Row], witnesses: &Witnesses, violations: &[Violation]) -> Value {
    let webhook = |row: &Row| {
        json!({ "what": row.what, "register": row.register, "amount": row.amount,
        "http": row.reply.status, "replayed": row.reply.is_replayed(), "answer": row.reply.body })
    };
    let ledgers: Vec<Value> = witnesses
        .ledgers
        .iter()
        .map(|ledger| json!({ "terminal": ledger.terminal, "entries": ledger.entries }))
        .collect();
    json!({
        "webhooks": rows.iter().map(webhook).collect::<Vec<_>>(),
        "ledgers": ledgers,
        "violations": violations.iter().map(Violation::to_string).collect::<Vec<_>>(),
    })
}

/// Why the addresses are not those of the documentation, if they are not.
fn other_ports(public: SocketAddr, admin: SocketAddr) -> Option<String> {
    let used = [(PORTS[0], public.port()), (PORTS[1], admin.port())];
    let taken: Vec<String> =
        used.iter().filter(|(port, used)| port != used).map(|(port, _)| port.to_string()).collect();
    let noun = if taken.len() == 1 { "port" } else { "ports" };
    let why =
        format!("(Another program has {noun} {}: these are not those of the documentation.)", taken.join(" and "));
    (!taken.is_empty()).then_some(why)
}

/// Keeps the shop open for whoever wants to try it.
async fn stay(shop: &Shop) {
    let body =
        r#"{"operation":"sale","project":{"id":"2"},"currency":"EUR","amount":3.20,"documentNumber":"70000001"}"#;
    println!("\nThe shop stays open:\n");
    if let Some(why) = other_ports(shop.app.public, shop.app.admin) {
        println!("  {why}\n");
    }
    println!("  webhooks   http://{}/webhook/pos-payment", shop.app.public);
    println!("  payments   http://{}/api/v1/payments", shop.app.admin);
    println!("  metrics    http://{}/metrics\n", shop.app.admin);
    println!("Try one yourself:\n");
    println!("  curl -d '{body}' http://{}/webhook/pos-payment\n", shop.app.public);
    println!("Ctrl-C closes it.");
    asked_to_stop().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::builtin;

    #[tokio::test]
    async fn where_no_serial_line_can_be_simulated_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = serial_line(&folder.path().join("no folder")).await;
        let told = introduction(&missing);
        assert!(told.contains("two simulated terminals") && told.contains("is left out"), "{told}");
        assert!(introduction(&serial_line(folder.path()).await).contains("three simulated terminals"));
        let shop = Shop::open(plan(folder.path(), true, false), folder.path(), builtin()).await.unwrap();
        assert!(!shop.premises.zvt.contains_key("kiosk"));
        let unknown = shop.till.send(Sale::new("4", "6.40", "80000001")).await.unwrap();
        assert_eq!(unknown.code(), "unknown-register");
        shop.close().await;
    }

    #[test]
    fn other_ports_than_those_of_the_documentation_are_told() {
        assert_eq!(other_ports(loopback(5000), loopback(5001)), None);
        assert!(other_ports(loopback(5000), loopback(7)).unwrap().contains("has port 5001:"));
        assert!(other_ports(loopback(8), loopback(7)).unwrap().contains("has ports 5000 and 5001:"));
    }
}
