//! What becomes of a payment when any frame of it is hit by any fault: the matrix R5, against the reviewed table beside it.
//!
//! The driver and the simulated terminal are the real ones, with the timers of production; between them is a line in memory
//! that looks at frames, over TCP (`relay`) and on a serial line (`cable`), and time is paused. Every cell is played with every model of terminal that it concerns, and is
//! judged twice: by the rules that always hold (`rules`), and by `expected.txt` or
//! `expected_serial.txt`.

#![allow(clippy::unwrap_used)]

mod cable;
mod cell;
mod fate;
mod frame_fault;
mod net;
mod relay;
mod rules;
mod run;
mod table;
mod terminal;
mod wire;

use std::sync::Mutex;

use cell::{Cell, Line, MODELS, Model, PLACES, SAME, Way, cells};
use run::{Facts, Seen, run};

struct Played {
    cell: Cell,
    model: &'static Model,
    seen: Seen,
    facts: Facts,
}

/// Plays everything, on all processors: each cell has a world of its own.
fn play(all: &[(Cell, &'static Model)]) -> Vec<Played> {
    let rest = Mutex::new(all.iter().enumerate());
    let played = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = rest.lock().unwrap().next();
                    let Some((place, (cell, model))) = next else { return };
                    let (seen, facts) = run(*cell, model);
                    played.lock().unwrap().push((place, Played { cell: *cell, model, seen, facts }));
                }
            });
        }
    });
    let mut played = played.into_inner().unwrap();
    played.sort_by_key(|(place, _)| *place);
    played.into_iter().map(|(_, played)| played).collect()
}

#[test]
fn every_step_is_hit_on_both_ways() {
    for step in 1..=12 {
        for way in [Way::ToPt, Way::ToEcr] {
            let step = step.to_string();
            let own = PLACES.iter().any(|place| place.step == step && place.way == way);
            let other = SAME.iter().any(|(same, its_way, _)| *same == step && *its_way == way);
            assert!(own != other, "step {step} {way}");
        }
    }
}

fn check(line: Line) {
    let sensible = cells(line).filter(|cell| cell.makes_no_sense().is_none());
    let all: Vec<_> = sensible
        .flat_map(|cell| MODELS.iter().filter(move |model| cell.concerns(model)).map(move |model| (cell, model)))
        .collect();
    let played = play(&all);
    let found = table::written(line, &played);
    let faults: Vec<String> = played.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{} rules are broken:\n{}", faults.len(), faults.join("\n"));
    table::compare(line, &found);
}

#[test]
fn every_cell_over_tcp_ends_as_the_table_says_and_breaks_no_rule() {
    check(Line::Tcp);
}

#[test]
fn every_cell_on_a_serial_line_ends_as_the_table_says_and_breaks_no_rule() {
    check(Line::Serial);
}

fn faults(played: &Played) -> impl Iterator<Item = String> {
    let Played { cell, model, seen, facts } = played;
    rules::broken(cell, model, seen, facts)
        .into_iter()
        .map(move |rule| format!("{cell} {}: {rule}\n    {seen}", model.name))
}
