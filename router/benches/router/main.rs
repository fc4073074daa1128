//! What does a payment cost the router?
//!
//! ```text
//! cargo bench -p tillswitch --bench router
//! cargo bench -p tillswitch --bench router -- --registers 1,1000 --payments 4000
//! cargo bench -p tillswitch --bench router -- --quick
//! ```
//!
//! The built router runs as a process of its own, once with HTTP and once with ZVT terminals, next to a bare durable
//! forwarder that does nothing but what nobody can leave out. Terminals and tills are simulated in this process, over
//! loopback; a customer takes no time. The three take turns in short rounds, so that whatever else the machine does meets
//! all of them.
//!
//! | file | question |
//! |---|---|
//! | `options` | what can be asked for |
//! | `terminals` | where do the payments go, and how long does one take without a router |
//! | `child` | what does a process use |
//! | `forwarder` | what is the least that must be done |
//! | `load` | how are payments made |
//! | `report` | what is printed |

mod child;
mod forwarder;
mod load;
mod options;
mod report;
mod terminals;

use std::path::Path;

use child::Child;
use load::{Load, Round};
use options::Options;
use report::{Contender, Row};
use terminals::{Kind, Terminals};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    if let Some(place) = arguments.iter().position(|argument| argument == forwarder::ARGUMENT) {
        return runtime.block_on(forwarder::run(Path::new(&arguments[place + 1]), Path::new(&arguments[place + 2])));
    }
    let options = Options::parse(&arguments);
    report::head();
    for registers in &options.registers {
        if options::files_allowed() < options::files_needed(*registers) {
            println!("{registers} registers are left out: `ulimit -n {}` first", options::files_needed(*registers));
            continue;
        }
        report::rows(&runtime.block_on(measure(*registers, &options)));
    }
    report::foot();
}

/// Everything about one number of registers.
async fn measure(registers: usize, options: &Options) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let http = Terminals::open(Kind::Http, registers, folder.path()).await;
    let zvt = Terminals::open(Kind::Zvt, registers, folder.path()).await;
    let direct_http = load::direct(&http, options.single).await;
    let direct_zvt = load::direct(&zvt, options.single).await;
    let contenders = [
        (Contender::Forwarder, Child::forwarder(folder.path(), "forwarded", &http), &http, direct_http.clone()),
        (Contender::Promises, Child::forwarder(folder.path(), "forwarded.db", &http), &http, direct_http.clone()),
        (Contender::Http, Child::router(http.config()), &http, direct_http),
        (Contender::Zvt, Child::router(zvt.config()), &zvt, direct_zvt),
    ];
    let mut rows = Vec::new();
    let mut loads = Vec::new();
    for (contender, child, terminals, direct) in &contenders {
        let idle_kib = child.resident_kib();
        let load = Load::new(child.address, registers);
        load.warm_up().await;
        rows.push(Row::new(*contender, registers, child.start, idle_kib, direct.clone()));
        loads.push((load, child, *terminals));
    }
    for _ in 0..options.rounds {
        for (row, (load, child, terminals)) in rows.iter_mut().zip(&loads) {
            row.single.add(measured(child, terminals, load.one_at_a_time(options.single)).await);
            row.busy.add(measured(child, terminals, load.all_at_once(options.payments)).await);
            row.loaded_kib = row.loaded_kib.max(child.resident_kib());
        }
    }
    drop(contenders);
    http.close().await;
    zvt.close().await;
    rows
}

/// A round with what the process used for it, and with what the terminals booked.
async fn measured(child: &Child, terminals: &Terminals, round: impl Future<Output = Round>) -> Round {
    let (cpu, booked) = (child.cpu(), terminals.booked());
    let round = round.await;
    Round { cpu: child.cpu() - cpu, booked: terminals.booked() - booked, ..round }
}
