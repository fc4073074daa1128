//! What the clock of a terminal says. Local time, as far as anybody knows; the short date has no year.

use crate::bcd;

/// A date without a year (BMP 0D).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A date with its year (BMP AA, tag 1F0E).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// All four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A time of day (BMP 0C, tag 1F0F).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl MonthDay {
    /// From BCD MMDD.
    pub fn from_bcd(bytes: &[u8]) -> Option<Self> {
        let [month, day] = two_digits::<2>(bytes)?;
        (is_month(month) && is_day(day)).then_some(Self { month, day })
    }

    /// As BCD MMDD.
    pub fn to_bcd(self) -> [u8; 2] {
        [byte(self.month), byte(self.day)]
    }
}

impl Date {
    /// From BCD YYMMDD, in this century.
    pub fn from_bcd(bytes: &[u8]) -> Option<Self> {
        let [year, month, day] = two_digits::<3>(bytes)?;
        (is_month(month) && is_day(day)).then_some(Self { year: 2000 + u16::from(year), month, day })
    }

    /// From BCD YYYYMMDD.
    pub fn from_long_bcd(bytes: &[u8]) -> Option<Self> {
        let [century, year, month, day] = two_digits::<4>(bytes)?;
        let year = u16::from(century) * 100 + u16::from(year);
        (is_month(month) && is_day(day)).then_some(Self { year, month, day })
    }

    /// As BCD YYMMDD.
    pub fn to_bcd(self) -> [u8; 3] {
        [byte((self.year % 100) as u8), byte(self.month), byte(self.day)]
    }
}

impl TimeOfDay {
    /// From BCD HHMMSS.
    pub fn from_bcd(bytes: &[u8]) -> Option<Self> {
        let [hour, minute, second] = two_digits::<3>(bytes)?;
        (hour < 24 && minute < 60 && second < 60).then_some(Self { hour, minute, second })
    }

    /// As BCD HHMMSS.
    pub fn to_bcd(self) -> [u8; 3] {
        [byte(self.hour), byte(self.minute), byte(self.second)]
    }
}

fn two_digits<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut values = <[u8; N]>::try_from(bytes).ok()?;
    for value in &mut values {
        *value = u8::try_from(bcd::to_number(&[*value])?).ok()?;
    }
    Some(values)
}

fn byte(value: u8) -> u8 {
    ((value / 10 % 10) << 4) | (value % 10)
}

fn is_month(month: u8) -> bool {
    (1..=12).contains(&month)
}

fn is_day(day: u8) -> bool {
    (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        let date = MonthDay { month: 4, day: 16 };
        assert_eq!(MonthDay::from_bcd(&[0x04, 0x16]), Some(date));
        assert_eq!(date.to_bcd(), [0x04, 0x16]);
        let time = TimeOfDay { hour: 22, minute: 51, second: 47 };
        assert_eq!(TimeOfDay::from_bcd(&[0x22, 0x51, 0x47]), Some(time));
        assert_eq!(time.to_bcd(), [0x22, 0x51, 0x47]);
        let date = Date { year: 2026, month: 11, day: 22 };
        assert_eq!(Date::from_bcd(&[0x26, 0x11, 0x22]), Some(date));
        assert_eq!(Date::from_long_bcd(&[0x20, 0x26, 0x11, 0x22]), Some(date));
        assert_eq!(date.to_bcd(), [0x26, 0x11, 0x22]);
    }

    #[test]
    fn impossible_clocks() {
        assert_eq!(MonthDay::from_bcd(&[0x13, 0x01]), None);
        assert_eq!(MonthDay::from_bcd(&[0x12, 0x00]), None);
        assert_eq!(MonthDay::from_bcd(&[0x1A, 0x01]), None);
        assert_eq!(MonthDay::from_bcd(&[0x12]), None);
        assert_eq!(TimeOfDay::from_bcd(&[0x24, 0x00, 0x00]), None);
        assert_eq!(Date::from_bcd(&[0x99, 0x99, 0x99]), None);
    }
}
