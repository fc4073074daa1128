//! Does the unit for systemd keep its promises, and does the configuration beside it work with it?
#![allow(clippy::unwrap_used)] // a panic is the report of a test

mod required;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use required::{is_here, root, said, text};

/// `systemd-analyze security` in tenths: 0 is no exposure, 100 all of it.
const MOST_EXPOSED: &str = "--threshold=20";

fn unit() -> String {
    fs::read_to_string(root().join("examples/systemd/tillswitch.service")).unwrap()
}

fn setting(name: &str) -> String {
    let unit = unit();
    let mut found = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.next().unwrap_or_else(|| panic!("{name} is not in the unit")).to_owned()
}

/// The unit in a folder, with a program that is here.
fn unit_in(folder: &Path) -> String {
    let here = unit().replace("/usr/local/bin/tillswitch", env!("CARGO_BIN_EXE_tillswitch"));
    let path = folder.join("tillswitch.service");
    fs::write(&path, here).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn little_is_exposed() {
    if !is_here("systemd", "systemd-analyze", &["--version"], "how much the unit exposes") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = unit_in(folder.path());
    let mut look = Command::new("systemd-analyze");
    look.args(["security", "--offline=true", "--no-pager", MOST_EXPOSED, &unit]);
    let table = said(&mut look);
    assert!(table.contains("Overall exposure level"), "{table}");
}

#[test]
fn systemd_understands_every_line() {
    if !is_here("systemd", "systemd-analyze", &["--version"], "whether systemd understands the unit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut look = Command::new("systemd-analyze");
    look.args(["verify", "--man=no", "--recursive-errors=no", &unit_in(folder.path())]);
    let complaints = said(&mut look);
    assert_eq!(complaints, "", "systemd-analyze verify");
}

fn check(folder: &Path, credentials: Option<&Path>) -> Output {
    let mut check = Command::new(env!("CARGO_BIN_EXE_tillswitch"));
    check.args(["check", "--config"]).arg(folder.join("tillswitch.toml")).env_remove("CREDENTIALS_DIRECTORY");
    check.envs(credentials.map(|folder| ("CREDENTIALS_DIRECTORY", folder)));
    check.output().unwrap()
}

#[test]
fn the_configuration_beside_it_reads_the_credential_that_the_unit_loads() {
    let readme = fs::read_to_string(root().join("examples/systemd/README.md")).unwrap();
    let configuration = readme.split_once("<!-- configuration -->\n```toml\n").unwrap().1.split_once("```").unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let (name, _) =
        setting("LoadCredential").split_once(':').map(|(name, file)| (name.to_owned(), file.to_owned())).unwrap();
    fs::write(credentials.join(name), "a key\n").unwrap();
    let state_dir = folder.path().join("state").to_str().unwrap().to_owned();
    fs::write(folder.path().join("tillswitch.toml"), configuration.replace("/var/lib/tillswitch", &state_dir)).unwrap();

    let good = check(folder.path(), Some(&credentials));
    let said = text(&good);
    assert!(good.status.success() && !said.contains("other users") && !said.contains("a key"), "{said}");
    let bare = check(folder.path(), None);
    let said = text(&bare);
    assert!(bare.status.code() == Some(78) && said.contains("$CREDENTIALS_DIRECTORY is not set"), "{said}");
    fs::remove_dir_all(credentials).unwrap();
    assert_eq!(check(folder.path(), Some(folder.path())).status.code(), Some(78));
}

#[test]
fn what_a_person_has_to_mend_is_not_tried_again() {
    assert_eq!(setting("RestartPreventExitStatus"), "2 65 78");
}
