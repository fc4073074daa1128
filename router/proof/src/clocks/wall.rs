//! How is the clock on the wall moved under a running router, and no other?

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CLOCK: &str = include_str!("../shim/clock.c");
/// How many bytes the page has, and where it says how often somebody looked.
const PAGE: usize = 24;
const LOOKS: usize = 16;

/// Where the clock goes.
#[derive(Clone, Copy, Debug)]
pub enum Jump {
    /// So many seconds on, or back.
    By(i64),
    /// To this second since 1970, and on from there.
    To(u64),
    /// It stands still.
    Stop,
}

/// The clock of the routers of one shop.
pub struct Wall {
    folder: PathBuf,
    page: File,
    /// What it is: this much ahead of the real one, or standing still.
    moved: (i64, Option<SystemTime>),
}

impl Wall {
    /// Compiles the library with the machine's own compiler, and sets the clock right.
    pub fn hang(folder: &Path) -> Wall {
        fs::write(folder.join("clock.c"), CLOCK).expect("the folder is new");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o", "clock.so", "clock.c", "-ldl"]).current_dir(folder);
        let output = compiler.output().expect("a C compiler is needed, as for the router");
        assert!(output.status.success(), "the clock does not compile: {}", String::from_utf8_lossy(&output.stderr));
        let page = folder.join("clock.page");
        fs::write(&page, [0; PAGE]).expect("the folder is new");
        let page = File::options().read(true).write(true).open(page).expect("it has just been written");
        Wall { folder: folder.to_owned(), page, moved: (0, None) }
    }

    /// What a router needs in its environment to look at this clock. It hangs in Berlin.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        vec![("LD_PRELOAD", text("clock.so")), ("CLOCK_PAGE", text("clock.page")), ("TZ", "Europe/Berlin".into())]
    }

    /// Moves it.
    pub fn jump(&mut self, jump: Jump) {
        let real = SystemTime::now();
        self.moved = match jump {
            Jump::By(seconds) => (seconds * 1_000_000_000, None),
            Jump::To(second) => (since_1970(UNIX_EPOCH + Duration::from_secs(second)) - since_1970(real), None),
            Jump::Stop => (0, Some(real)),
        };
        let (nanoseconds, still) = match self.moved {
            (_, Some(at)) => (since_1970(at), 1_i64),
            (ahead, None) => (ahead, 0),
        };
        let bytes = [nanoseconds.to_ne_bytes(), still.to_ne_bytes()].concat();
        self.page.write_all_at(&bytes, 0).expect("the page takes numbers");
    }

    /// Sets it right again.
    pub fn set_right(&mut self) {
        self.jump(Jump::By(0));
    }

    /// What the router sees on it now.
    pub fn shows(&self) -> SystemTime {
        match self.moved {
            (_, Some(at)) => at,
            (ahead, None) if ahead < 0 => SystemTime::now() - Duration::from_nanos(ahead.unsigned_abs()),
            (ahead, None) => SystemTime::now() + Duration::from_nanos(ahead.unsigned_abs()),
        }
    }

    /// How often a router has looked at it.
    pub fn looks(&self) -> u64 {
        let mut bytes = [0; 8];
        self.page.read_exact_at(&mut bytes, LOOKS as u64).expect("the page is there");
        u64::from_ne_bytes(bytes)
    }
}

fn since_1970(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}
