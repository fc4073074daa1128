//! What becomes of payments when a disk is really full? On a small file system in memory, where somebody may mount one.

use std::fs::{File, remove_file};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tillswitch::shop::{Reply, Sale};
use tokio::time::{Instant, sleep};

use super::moment::{is, is_refused, words};
use crate::aftermath::{Shown, comes_back, not_started};
use crate::counter::{Counter, Manner, PROJECT, Terminal};
use crate::random::Random;
use crate::shim::Shim;

/// More than the usual `min_free` of 64 MiB, and not much more.
const SIZE: &str = "size=80m,mode=700";
/// What leaves less than `min_free`, and enough for a payment that is running.
const ALMOST: usize = 40 << 20;
/// More than there is.
const EVERYTHING: usize = 200 << 20;
/// How long the customer takes who is there when the disk fills up.
const CARD: Duration = Duration::from_millis(1500);
/// How long a measurement of the room counts, and as much again.
const MEASURED: Duration = Duration::from_secs(3);

/// How full the disk gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `min_free` is not left.
    Almost,
    /// Nothing is.
    Quite,
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Full::Almost => "min_free is not left",
            Full::Quite => "not a byte is left",
        })
    }
}

/// A small file system, until it is dropped.
struct Small(TempDir);

impl Small {
    /// `None`: nobody here may mount one.
    fn mount() -> Option<Small> {
        let folder = tempfile::tempdir().expect("there is room for a small folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Small(folder))
    }

    fn filling(&self) -> PathBuf {
        self.0.path().join("filling")
    }

    /// Fills so many bytes, or as many as there are.
    fn fill(&self, mut bytes: usize) {
        let piece = vec![0xA5; 4096];
        let mut file = File::create(self.filling()).expect("the file system takes one more name");
        while bytes > 0 && file.write_all(&piece).is_ok() {
            bytes = bytes.saturating_sub(piece.len());
        }
    }

    fn empty(&self) {
        remove_file(self.filling()).expect("it was filled");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What stays mounted is seen by whoever looks; nothing more can be done about it here.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// One run; `None` where no file system can be mounted.
pub async fn one(seed: u64, full: Full, shim: &Shim) -> Option<Shown> {
    let disk = Small::mount()?;
    let mut shown = Shown { met: vec![format!("on a small file system: {full}")], ..Shown::default() };
    let played = play(full, &disk, shim, &mut Random::new(seed), &mut shown).await;
    shown.violations.extend(played.err());
    Some(shown)
}

async fn play(full: Full, disk: &Small, shim: &Shim, random: &mut Random, shown: &mut Shown) -> Result<(), String> {
    let manner = Manner { terminal: Terminal::ZvtTcp, reverses: true, reuses_numbers: true, slips: false, card: CARD };
    let counter = Counter::open(manner, shim, false).await;
    symlink(disk.0.path(), counter.state_dir()).map_err(|error| error.to_string())?;
    let router = counter.start().await.map_err(|ended| not_started(&ended))?;
    let sales = [Sale::new(PROJECT, "25.90", "1"), Sale::new(PROJECT, "7.77", "2")];
    let (running, refused) = fills_up(full, disk, &counter, &sales).await?;
    is((running.status == 200) == (full == Full::Almost), || format!("the running payment was {}", words(&running)))?;
    is(is_refused(&refused), || format!("a new payment was {}", words(&refused)))?;
    disk.empty();
    if full == Full::Almost {
        again(&counter, &sales[1]).await?;
    }
    router.kill();
    comes_back(counter, &sales, random, shown).await
}

/// What the payment is told that runs when the disk fills up, and one that comes then.
async fn fills_up(full: Full, disk: &Small, counter: &Counter, sales: &[Sale; 2]) -> Result<(Reply, Reply), String> {
    let (till, sale) = (Arc::clone(&counter.till), sales[0].clone());
    let running = tokio::spawn(async move { till.send(&sale).await });
    counter.until("the card is asked for", CARD * 10, || counter.money_commands() == 1).await?;
    disk.fill(if full == Full::Almost { ALMOST } else { EVERYTHING });
    let running = running.await.expect("a till does not panic").map_err(|error| error.to_string())?;
    let refused = counter.till.send(&sales[1]).await.map_err(|error| error.to_string())?;
    is(counter.money_commands() == 1, || "a refused payment reached the terminal".into())?;
    Ok((running, refused))
}

/// There is room again, and no restart is needed.
async fn again(counter: &Counter, sale: &Sale) -> Result<(), String> {
    let until = Instant::now() + MEASURED;
    loop {
        let reply = counter.till.send(sale).await.map_err(|error| error.to_string())?;
        if reply.status == 200 {
            return Ok(());
        }
        is(Instant::now() < until, || format!("there is room again, and a payment was {}", words(&reply)))?;
        sleep(Duration::from_millis(50)).await;
    }
}
