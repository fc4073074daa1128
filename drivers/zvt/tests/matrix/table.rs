//! How the table is written, and compared with the reviewed one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Played;
use crate::cell::{SAME, cells};

/// The reviewed table. Lines that begin with `#` are remarks of the reviewer.
const EXPECTED: &str = include_str!("expected.txt");

/// One line for each result of a cell, with the models that come to it.
pub fn written(played: &[Played]) -> Vec<String> {
    let mut lines = Vec::new();
    for cell in cells() {
        let name = cell.to_string();
        if let Some(why) = cell.makes_no_sense() {
            lines.push(format!("{name} | none | {why}"));
        }
        let mut results: Vec<(String, Vec<&str>)> = Vec::new();
        for run in played.iter().filter(|run| run.cell.to_string() == name) {
            let seen = run.seen.to_string();
            match results.iter_mut().find(|(known, _)| *known == seen) {
                Some((_, models)) => models.push(run.model.name),
                None => results.push((seen, vec![run.model.name])),
            }
        }
        lines.extend(results.into_iter().map(|(seen, models)| format!("{name} | {} | {seen}", models.join(" "))));
    }
    let same = SAME.iter().map(|(step, way, other)| format!("{step} {way} all | same | its frame is that of {other}"));
    lines.extend(same);
    lines
}

/// Compares, and leaves what was found where it can be looked at.
pub fn compare(found: &[String]) {
    let expected: BTreeSet<&str> =
        EXPECTED.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let found_lines: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let missing: Vec<String> = expected.difference(&found_lines).map(|line| format!("- {line}")).collect();
    let new: Vec<String> = found_lines.difference(&expected).map(|line| format!("+ {line}")).collect();
    if missing.is_empty() && new.is_empty() {
        return;
    }
    let path = found_path();
    std::fs::write(&path, found.join("\n") + "\n").unwrap();
    let differences = [missing, new].concat().join("\n");
    panic!("not as reviewed (- expected, + found; everything found is in {}):\n{differences}", path.display());
}

fn found_path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix_found.txt")
}
