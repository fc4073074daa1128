//! How the table is written, and compared with the reviewed one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Played;
use crate::cell::{Cell, Line, SAME, cells};

/// The reviewed table. Lines that begin with `#` are remarks of the reviewer.
fn expected(line: Line) -> &'static str {
    match line {
        Line::Tcp => include_str!("expected.txt"),
        Line::Serial => include_str!("expected_serial.txt"),
    }
}

/// A half of the matrix as its table has it.
pub fn written(line: Line, played: &[Played]) -> Vec<String> {
    let mut lines = match line {
        Line::Tcp => by_fault(played),
        Line::Serial => by_result(played),
    };
    let same = SAME.iter().map(|(step, way, other)| format!("{step} {way} all | same | its frame is that of {other}"));
    lines.extend(same);
    lines
}

/// One line for each result of a cell, with the models that come to it.
fn by_fault(played: &[Played]) -> Vec<String> {
    let mut lines = Vec::new();
    for cell in cells(Line::Tcp) {
        let name = cell.to_string();
        if let Some(why) = cell.makes_no_sense() {
            lines.push(format!("{name} | none | {why}"));
        }
        lines.extend(results(&cell, played).into_iter().map(|(models, seen)| format!("{name} | {models} | {seen}")));
    }
    lines
}

/// One line for each result at a place, with the faults that come to it: a serial line repairs most of them.
fn by_result(played: &[Played]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for cell in cells(Line::Serial) {
        let here = format!("{} {}", cell.place.step, cell.place.way);
        let senseless = cell.makes_no_sense().map(|why| ("none".to_owned(), why.to_owned()));
        for (models, seen) in results(&cell, played).into_iter().chain(senseless) {
            let line = format!("{here} | {models} | {seen}");
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, faults)) => faults.push(cell.fault.to_string()),
                None => lines.push((line, vec![cell.fault.to_string()])),
            }
        }
    }
    lines.into_iter().map(|(line, faults)| format!("{line} | {}", faults.join(" "))).collect()
}

/// What a cell comes to, behind the models that come to it.
fn results(cell: &Cell, played: &[Played]) -> Vec<(String, String)> {
    let name = cell.to_string();
    let mut results: Vec<(String, Vec<&str>)> = Vec::new();
    for run in played.iter().filter(|run| run.cell.to_string() == name) {
        let seen = run.seen.to_string();
        match results.iter_mut().find(|(known, _)| *known == seen) {
            Some((_, models)) => models.push(run.model.name),
            None => results.push((seen, vec![run.model.name])),
        }
    }
    results.into_iter().map(|(seen, models)| (models.join(" "), seen)).collect()
}

/// Compares, and leaves what was found where it can be looked at.
pub fn compare(line: Line, found: &[String]) {
    let expected: BTreeSet<&str> =
        expected(line).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let found_lines: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let missing: Vec<String> = expected.difference(&found_lines).map(|line| format!("- {line}")).collect();
    let new: Vec<String> = found_lines.difference(&expected).map(|line| format!("+ {line}")).collect();
    if missing.is_empty() && new.is_empty() {
        return;
    }
    let path = found_path(line);
    std::fs::write(&path, found.join("\n") + "\n").unwrap();
    let differences = [missing, new].concat().join("\n");
    panic!("not as reviewed (- expected, + found; everything found is in {}):\n{differences}", path.display());
}

fn found_path(line: Line) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("matrix_found_{line:?}.txt").to_lowercase())
}
