//! How are a router's calls on its disk and its lines counted, and how does one of them end differently?
//!
//! A small library in C (`shim/calls.c`, `shim/undo.c`) is compiled when a proof starts and put in front of the C library of a
//! router. It lies below SQLite's own VFS, so that nothing of SQLite is replaced, and needs no file system of its own.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::child;

const CALLS: &str = include_str!("shim/calls.c");
const UNDO: &str = include_str!("shim/undo.c");
/// How many numbers the page has that both sides have mapped, and where three of them are.
const NUMBERS: usize = 12;
const COUNT: usize = 8;
const MET: usize = 9;
const UNDONE: usize = 11;

/// Where in a call it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The call is never made.
    Before,
    /// Half of its bytes go out.
    Torn,
    /// It returns no more.
    After,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing: it is only counted.
    Nothing,
    /// SIGKILL.
    Kill,
    /// The power is cut: everything that was not synced is gone.
    PowerAll,
    /// The power is cut: of every sector that was not synced a seed says which of its contents is there.
    PowerSome,
    /// The call fails with this number of an error.
    Fail(i32),
    /// It writes half, and says so.
    Short,
}

/// What a call is done on. The order is that of the C side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The database.
    Journal = 1,
    /// SQLite's write-ahead log.
    Log = 2,
    /// The lock of the state folder.
    Lock = 4,
    /// The state folder, or the one that it is in.
    Folder = 5,
    /// The line to the terminal.
    Terminal = 6,
    /// A connection of the till.
    Till = 7,
}

const ROLES: [(&str, Role); 6] = [
    ("journal", Role::Journal),
    ("log", Role::Log),
    ("lock", Role::Lock),
    ("folder", Role::Folder),
    ("terminal", Role::Terminal),
    ("till", Role::Till),
];

/// What kind of call it is. The order is that of the C side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Bytes into a file.
    Write = 0,
    /// `fsync` or `fdatasync`.
    Sync = 1,
    /// Another length of a file.
    Size = 2,
    /// A file or a folder is made, renamed or removed.
    Name = 3,
    /// Bytes into a line.
    Send = 4,
}

const KINDS: [(&str, Kind); 5] =
    [("write", Kind::Write), ("sync", Kind::Sync), ("size", Kind::Size), ("name", Kind::Name), ("send", Kind::Send)];

/// One call that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it did.
    pub kind: Kind,
    /// On what.
    pub role: Role,
    /// How many bytes.
    pub size: usize,
    /// The first of them, in hexadecimal digits.
    pub head: String,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |kind| KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
        let role = ROLES.iter().find(|(_, known)| *known == self.role).map_or("", |(name, _)| name);
        write!(f, "{} {role} {}", name(self.kind), self.size)?;
        if self.role == Role::Terminal { write!(f, " {}", self.head) } else { Ok(()) }
    }
}

/// What is to happen to which call.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The number of the call, from 1 on; 0: to none.
    pub at: u32,
    /// Where in it.
    pub point: Point,
    /// What.
    pub deed: Deed,
    /// Which sectors survive a power cut.
    pub seed: u32,
    /// On what the calls are done that are counted.
    pub roles: &'static [Role],
    /// What kinds of calls are counted.
    pub kinds: &'static [Kind],
    /// Whether all later ones fail, too.
    pub lasts: bool,
}

impl Order {
    /// Everything is counted, and nothing happens.
    pub fn count() -> Order {
        Order {
            at: 0,
            point: Point::Before,
            deed: Deed::Nothing,
            seed: 0,
            roles: &[Role::Journal, Role::Log, Role::Lock, Role::Folder, Role::Terminal, Role::Till],
            kinds: &[Kind::Write, Kind::Sync, Kind::Size, Kind::Name, Kind::Send],
            lasts: false,
        }
    }

    fn numbers(&self) -> [u32; NUMBERS] {
        let (deed, error) = match self.deed {
            Deed::Nothing => (0, 0),
            Deed::Kill => (1, 0),
            Deed::PowerAll => (2, 0),
            Deed::PowerSome => (3, 0),
            Deed::Fail(error) => (4, error as u32),
            Deed::Short => (5, 0),
        };
        let roles = self.roles.iter().fold(0, |bits, role| bits | 1 << *role as u32);
        let kinds = self.kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u32);
        [1, self.at, self.point as u32, deed, error, self.seed, roles, kinds, 0, 0, u32::from(self.lasts), 0]
    }
}

/// The compiled library.
pub struct Shim {
    folder: TempDir,
}

impl Shim {
    /// Compiles it with the machine's own compiler.
    pub fn compile() -> Shim {
        let folder = tempfile::tempdir().expect("there is room for a small folder");
        for (name, text) in [("calls.c", CALLS), ("undo.c", UNDO)] {
            fs::write(folder.path().join(name), text).expect("the folder is new");
        }
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o", "shim.so", "calls.c", "-ldl", "-lpthread"]);
        let output = compiler.current_dir(folder.path()).output().expect("a C compiler is needed, as for the router");
        assert!(output.status.success(), "the shim does not compile: {}", String::from_utf8_lossy(&output.stderr));
        Shim { folder }
    }

    /// Makes the page and the list for the routers of one state folder. With `power`, it is kept what a power cut takes.
    pub fn over(&self, folder: &Path, state_dir: &Path, terminal_port: u16, power: bool) -> Steering {
        let (page, lines, attic) = (folder.join("shim.page"), folder.join("shim.lines"), folder.join("attic"));
        fs::write(&page, [0; NUMBERS * 4]).expect("the folder is new");
        fs::create_dir(&attic).expect("the folder is new");
        let attic = if power { attic } else { PathBuf::new() };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let environment = vec![
            child::hurried(),
            ("LD_PRELOAD", text(&self.folder.path().join("shim.so"))),
            ("SHIM_PAGE", text(&page)),
            ("SHIM_LINES", text(&lines)),
            ("SHIM_STATE", text(state_dir)),
            ("SHIM_ATTIC", text(&attic)),
            ("SHIM_TERMINAL_PORT", terminal_port.to_string()),
        ];
        Steering { page, lines, environment }
    }
}

/// What steers the calls of the routers of one state folder.
pub struct Steering {
    page: PathBuf,
    lines: PathBuf,
    /// What a router needs in its environment to be steered.
    pub environment: Vec<(&'static str, String)>,
}

impl Steering {
    /// From now on calls are counted, from 1, and this happens to one of them.
    pub fn arm(&self, order: &Order) {
        File::create(&self.lines).expect("the list can be made anew");
        let numbers = order.numbers();
        // Counting begins when everything else is there.
        self.put(4, &numbers[1..]);
        self.put(0, &numbers[..1]);
    }

    /// Nothing is counted any more.
    pub fn disarm(&self) {
        self.put(0, &[0]);
    }

    /// How often a call has ended differently.
    pub fn met(&self) -> u32 {
        self.number(MET)
    }

    /// How many calls a power cut has undone, in whole or in part.
    pub fn undone(&self) -> u32 {
        self.number(UNDONE)
    }

    /// How many calls were counted.
    pub fn count(&self) -> u32 {
        self.number(COUNT)
    }

    /// The calls that were counted.
    pub fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(&self.lines).unwrap_or_default();
        text.lines().filter_map(call).collect()
    }

    fn put(&self, offset: u64, numbers: &[u32]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let mut file = File::options().write(true).open(&self.page).expect("the page is there");
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(&bytes)).expect("the page takes numbers");
    }

    fn number(&self, place: usize) -> u32 {
        let mut bytes = Vec::new();
        let read = File::open(&self.page).and_then(|mut file| file.read_to_end(&mut bytes));
        read.expect("the page is there");
        u32::from_ne_bytes(bytes[place * 4..][..4].try_into().expect("four bytes"))
    }
}

fn call(line: &str) -> Option<Call> {
    let mut words = line.split(' ').skip(1);
    let (kind, role) = (words.next()?, words.next()?);
    let kind = KINDS.iter().find(|(name, _)| *name == kind)?.1;
    let role = ROLES.iter().find(|(name, _)| *name == role)?.1;
    Some(Call { kind, role, size: words.next()?.parse().ok()?, head: words.next().unwrap_or_default().to_owned() })
}
