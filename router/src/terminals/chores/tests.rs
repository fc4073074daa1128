//! Whether chores fall due when they should, whatever the clocks do.

use std::cell::Cell;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tillswitch_core::{EndOfDay, ServiceReport, TerminalStatus};
use tokio::time::advance;

use super::*;
use crate::config::WISH_AFTER as IDLE;

thread_local! {
    static WALL: Cell<Timestamp> = Cell::new("2026-07-01T23:29:59+02:00".parse().unwrap());
}

/// As Berlin's clocks show it.
fn in_berlin(instant: Timestamp) -> ZonedDateTime {
    instant.to_zoned_datetime(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
}

fn wall() -> ZonedDateTime {
    in_berlin(WALL.get())
}

fn set_wall(text: &str) {
    WALL.set(text.parse().unwrap());
}

fn chores(end_of_day: Option<&str>, probe: Option<Duration>) -> Chores {
    let now = Instant::now();
    let closing = end_of_day.map(|time| {
        let time: Time = time.parse().unwrap();
        Closing { time, at: next(time, &wall()), not_before: now }
    });
    let wish_after = IDLE;
    Chores { clock: wall, quiet_since: now, active_at: now, probe, wish_after, closing, resting: BTreeMap::new() }
}

fn diagnosis() -> Vec<String> {
    vec!["diagnosis".to_owned()]
}

fn closed() -> Result<Report, DriverError> {
    Ok(Report::EndOfDay(EndOfDay::default()))
}

#[test]
fn the_next_end_of_day_is_the_next_time_that_clocks_show_it() {
    for (time, after, expected) in [
        ("23:30", "2026-07-01T23:29:59+02:00", "2026-07-01T23:30:00+02:00"),
        ("23:30", "2026-07-01T23:30:00+02:00", "2026-07-02T23:30:00+02:00"),
        ("00:00", "2026-12-31T23:59:00+01:00", "2027-01-01T00:00:00+01:00"),
        // 29 March has no half past two, 25 October has two of them.
        ("02:30", "2026-03-29T01:00:00+01:00", "2026-03-29T03:30:00+02:00"),
        ("02:30", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("02:30", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
        ("02:30", "2026-10-25T02:15:00+01:00", "2026-10-26T02:30:00+01:00"),
    ] {
        let next = next(time.parse().unwrap(), &in_berlin(after.parse().unwrap()));
        assert_eq!(next.timestamp(), expected.parse::<Timestamp>().unwrap(), "{time} after {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_day_is_closed_once() {
    let mut chores = chores(Some("23:30"), None);
    assert_eq!(chores.due(&[]), None);
    set_wall("2026-07-01T23:30:00+02:00");
    assert_eq!(chores.due(&[]), Some(Work::EndOfDay));
    assert_eq!(chores.done(&Work::EndOfDay, &closed()), None);
    assert_eq!(chores.due(&[]), None);
    // A clock that is put back does not bring the evening back.
    set_wall("2026-07-01T23:29:00+02:00");
    assert_eq!(chores.due(&[]), None);
    set_wall("2026-07-01T23:31:00+02:00");
    assert_eq!(chores.due(&[]), None);
    set_wall("2026-07-02T23:30:00+02:00");
    assert_eq!(chores.due(&[]), Some(Work::EndOfDay));
}

#[tokio::test(start_paused = true)]
async fn an_end_of_day_is_tried_again_only_when_it_had_not_begun() {
    let unreachable = || Err(DriverError::not_started(Cause::Unreachable, "nobody answers"));
    let mut chores = chores(Some("23:30"), None);
    set_wall("2026-07-01T23:30:00+02:00");
    assert_eq!(chores.done(&Work::EndOfDay, &unreachable()), None);
    assert_eq!(chores.due(&[]), None);
    advance(RETRY).await;
    assert_eq!(chores.due(&[]), Some(Work::EndOfDay));
    let cut = Err(DriverError::in_doubt(Cause::LinkLost, "it broke"));
    assert!(chores.done(&Work::EndOfDay, &cut).unwrap().contains("it broke"));
    advance(RETRY).await;
    assert_eq!(chores.due(&[]), None);
}

#[tokio::test(start_paused = true)]
async fn an_end_of_day_that_never_finds_a_quiet_moment_is_given_up_aloud() {
    let mut chores = chores(Some("23:30"), None);
    set_wall("2026-07-02T03:30:00+02:00");
    assert_eq!((chores.give_up(), chores.due(&[])), (None, Some(Work::EndOfDay)));
    set_wall("2026-07-02T03:30:01+02:00");
    let message = chores.give_up().unwrap();
    assert!(message.contains("2026-07-01 23:30") && message.contains("tillswitch end-of-day"), "{message}");
    assert_eq!((chores.give_up(), chores.due(&[])), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_wish_waits_for_an_idle_minute_and_is_not_fulfilled_twice() {
    let mut chores = chores(None, None);
    advance(IDLE / 2).await;
    chores.note_use();
    advance(IDLE / 2).await;
    assert_eq!(chores.due(&diagnosis()), None);
    assert_eq!(chores.next(&diagnosis()), Some(Instant::now() + IDLE / 2));
    advance(IDLE / 2).await;
    let wish = Work::Service("diagnosis".into());
    assert_eq!(chores.due(&diagnosis()), Some(wish.clone()));
    chores.done(&wish, &Ok(Report::Service(ServiceReport { message: "well".into() })));
    advance(IDLE).await;
    assert_eq!(chores.due(&diagnosis()), None, "a terminal that never lets go of its wish");
    chores.resting.clear();
    chores.done(&wish, &Err(DriverError::not_started(Cause::Busy, "busy")));
    assert_eq!(chores.next(&diagnosis()), Some(Instant::now() + RETRY));
    advance(RETRY).await;
    assert_eq!(chores.due(&diagnosis()), Some(wish));
}

#[tokio::test(start_paused = true)]
async fn a_probe_follows_every_pause_and_does_not_keep_wishes_waiting() {
    let mut chores = chores(None, Some(IDLE / 3));
    let status = || {
        Ok(Report::Status(TerminalStatus { ready: true, message: "ready".into(), terminal_id: None, software: None }))
    };
    for _ in 0..2 {
        advance(IDLE / 3).await;
        assert_eq!(chores.due(&diagnosis()), Some(Work::Status));
        chores.done(&Work::Status, &status());
        assert_eq!(chores.due(&diagnosis()), None);
    }
    advance(IDLE / 3).await;
    assert_eq!(chores.due(&diagnosis()), Some(Work::Service("diagnosis".into())));
}
