//! What may others see of the state, and what does a crash leave behind?

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::program;

const CONFIG: &str = "\
[server]
listen = \"127.0.0.1:0\"
[admin]
listen = \"127.0.0.1:0\"
[terminals.counter]
driver = \"zvt-tcp\"
address = \"127.0.0.1:9\"
[registers.POS-01]
project_ids = [\"7\"]
terminal = \"counter\"
";

/// A shop's folder, with further lines in front of its configuration.
fn folder(lines: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tillswitch.toml"), format!("{lines}{CONFIG}")).unwrap();
    folder
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A router that runs, and every line of its log.
struct Running {
    process: Child,
    log: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut running = Running { process: command.stdout(Stdio::null()).spawn().unwrap(), log: Vec::new() };
        let lines = BufReader::new(running.process.stderr.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let is_ready = line.contains("\"message\":\"ready\"");
            running.log.push(line);
            if is_ready {
                return running;
            }
        }
        panic!("it never got ready: {}", running.log());
    }

    fn under_umask(folder: &Path, umask: &str) -> Running {
        let mut shell = Command::new("sh");
        let serve = format!("umask {umask} && exec {} serve", env!("CARGO_BIN_EXE_tillswitch"));
        shell.args(["-c", &serve]).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped());
        Running::start(shell)
    }

    fn log(&self) -> String {
        self.log.join("\n")
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.process.id()).into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

/// Everything in the state folder with its mode.
fn files(state: &Path) -> Vec<(String, u32)> {
    let mut files: Vec<_> = fs::read_dir(state)
        .unwrap()
        .map(|entry| (entry.as_ref().unwrap().file_name().into_string().unwrap(), mode(&entry.unwrap().path())))
        .collect();
    files.sort();
    files
}

const EXPECTED: [&str; 4] = ["payments.db", "payments.db-shm", "payments.db-wal", "router.lock"];

#[test]
fn state_is_private_whatever_the_umask() {
    for umask in ["000", "002", "022", "077", "177", "777"] {
        let folder = folder("state_dir = \"deep/er/state\"\n");
        let running = Running::under_umask(folder.path(), umask);
        let state = folder.path().join("deep/er/state");
        assert_eq!(mode(&state), 0o700, "umask {umask}");
        assert_eq!(files(&state), EXPECTED.map(|name| (name.to_owned(), 0o600)), "umask {umask}");
        assert!(!running.log().contains("other users"), "{}", running.log());
    }
}

#[test]
fn wider_files_are_tightened_and_a_wider_folder_is_spoken_of() {
    for (wide, words) in [(0o755, "can look into"), (0o777, "can replace the journal")] {
        let folder = folder("");
        let state = folder.path().join("tillswitch-state");
        // A router that is killed leaves the log of its journal behind.
        let killed = Running::under_umask(folder.path(), "022");
        kill_process(Pid::from_child(&killed.process), Signal::KILL).unwrap();
        drop(killed);
        assert_eq!(files(&state).len(), EXPECTED.len());
        for (name, _) in files(&state) {
            set_mode(&state.join(name), 0o644);
        }
        set_mode(&state, wide);
        let running = Running::under_umask(folder.path(), "000");
        assert_eq!(files(&state), EXPECTED.map(|name| (name.to_owned(), 0o600)));
        assert_eq!(mode(&state), wide, "the folder may be shared on purpose");
        let log = running.log();
        assert!(log.contains(words) && log.contains("chmod 700"), "{log}");
        assert!(log.contains("now they cannot") && log.contains("mode 644"), "{log}");
    }
}

#[test]
fn a_second_router_says_who_holds_the_state() {
    let folder = folder("");
    let first = Running::start(program(folder.path(), &["serve"]));
    let second = program(folder.path(), &["serve"]).output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    let said = String::from_utf8(second.stderr).unwrap();
    let holder = format!("process {}", first.process.id());
    for part in ["tillswitch.toml", "another router uses", "tillswitch-state", &holder, "state_dir of its own"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn secrets_that_others_can_read_or_change_are_spoken_of_at_every_start() {
    for (wide, words) in [
        (0o600, None),
        (0o400, None),
        (0o640, Some("read")),
        (0o604, Some("read")),
        (0o620, Some("changed")),
        (0o666, Some("changed")),
    ] {
        let folder = folder("[webhook]\nsignature_keys = [{ file = \"key\" }]\n");
        let key = folder.path().join("key");
        fs::write(&key, "canary-key\n").unwrap();
        set_mode(&key, wide);
        let running = Running::start(program(folder.path(), &["serve"]));
        let expected = words.map(|words| format!("can be {words} by other users (mode {wide:03o})"));
        match expected {
            Some(expected) => assert!(running.log().contains(&expected), "{expected}: {}", running.log()),
            None => assert!(!running.log().contains("other users"), "{}", running.log()),
        }
        assert!(!running.log().contains("canary-key"));
    }
}

/// No core, and nobody of the same user may look into the memory.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_memory_behind() {
    let folder = folder("");
    let running = Running::start(program(folder.path(), &["serve"]));
    let limits = fs::read_to_string(running.proc("limits")).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{cores}");
    // What cannot be dumped belongs to root in /proc. A test that is root itself sees no difference there.
    let owner = |path: &Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    assert_eq!(owner(&running.proc("mem")), 0);
}
