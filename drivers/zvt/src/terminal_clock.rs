//! How far the PT's clock is from ours, and when something happened by ours.
//!
//! The PT's dates have no year and no zone, so its clock is read as if it were UTC; the difference holds the zone too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{Date, MonthDay, TimeOfDay};

const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds since 1970 of a PT's clock, in the year that brings it nearest to `near`, which is on the PT's clock too.
pub(crate) fn seconds(date: MonthDay, time: TimeOfDay, near: i64) -> i64 {
    let year = year_of(near);
    let of = |year| days_since_1970(year, date) * SECONDS_PER_DAY + second_of_day(time);
    [year - 1, year, year + 1].map(of).into_iter().min_by_key(|at| at.abs_diff(near)).expect("there are three years")
}

/// How many seconds the PT's clock is ahead of ours, given what it shows now.
pub(crate) fn difference(date: MonthDay, time: TimeOfDay, now: SystemTime) -> i64 {
    let now = unix_seconds(now);
    seconds(date, time, now) - now
}

/// The same for a date with its year.
pub(crate) fn difference_of_date(date: Date, time: TimeOfDay, now: SystemTime) -> i64 {
    let day = MonthDay { month: date.month, day: date.day };
    days_since_1970(date.year.into(), day) * SECONDS_PER_DAY + second_of_day(time) - unix_seconds(now)
}

/// Whether something that the PT dates so happened between two instants of ours, each widened by `tolerance`.
pub(crate) fn is_between(
    (date, time): (MonthDay, TimeOfDay),
    difference: i64,
    (from, to): (SystemTime, SystemTime),
    tolerance: Duration,
) -> bool {
    let tolerance = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    let (from, to) = (unix_seconds(from), unix_seconds(to));
    let at = seconds(date, time, to.saturating_add(difference)).saturating_sub(difference);
    from.saturating_sub(tolerance) <= at && at <= to.saturating_add(tolerance)
}

fn unix_seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn second_of_day(time: TimeOfDay) -> i64 {
    i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second)
}

/// The proleptic Gregorian calendar; a year begins in March here, so that the leap day is its last.
fn days_since_1970(year: i64, date: MonthDay) -> i64 {
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = if month > 2 { year } else { year - 1 };
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    const DAYS_TO_1970: i64 = 719_468;
    year * 365 + leap_days + day_of_year - DAYS_TO_1970
}

/// Exact enough: whoever asks looks at the neighbouring years as well.
fn year_of(seconds: i64) -> i64 {
    1970 + seconds.div_euclid(31_556_952)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds as u64)
    }

    fn clock(month: u8, day: u8, hour: u8, minute: u8) -> (MonthDay, TimeOfDay) {
        (MonthDay { month, day }, TimeOfDay { hour, minute, second: 0 })
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (year, month, day, expected) in
            [(1970, 1, 1, 0), (1970, 3, 1, 59), (2000, 2, 29, 11_016), (2024, 12, 31, 20_088), (2026, 1, 1, 20_454)]
        {
            assert_eq!(days_since_1970(year, MonthDay { month, day }), expected, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn the_nearest_year_is_meant() {
        // 2026-01-01 00:30 UTC; the PT shows 23:30 of the day before, an hour behind.
        let now = at(20_454 * SECONDS_PER_DAY + 1800);
        let (date, time) = clock(12, 31, 23, 30);
        assert_eq!(difference(date, time, now), -3600);
        let (date, time) = clock(1, 1, 1, 30);
        assert_eq!(difference(date, time, now), 3600);
    }

    #[test]
    fn a_time_fits_with_the_difference_taken_off() {
        let noon = 20_500 * SECONDS_PER_DAY + 12 * 3600;
        let window = (at(noon), at(noon + 60));
        let two_hours = 7200;
        let date = MonthDay { month: 2, day: 16 };
        let fits = |hour, minute| {
            is_between((date, TimeOfDay { hour, minute, second: 0 }), two_hours, window, Duration::from_secs(120))
        };
        assert_eq!(days_since_1970(2026, date), 20_500);
        assert!(fits(14, 0) && fits(14, 2) && fits(13, 58));
        assert!(!fits(12, 0) && !fits(14, 4) && !fits(13, 57));
    }
}
