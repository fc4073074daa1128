//! How an amount of money is held and read without losing a cent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// ISO 4217: alphabetic code, numeric code, exponent (digits after the decimal point).
///
/// The currencies that a card terminal in use today settles in; fund codes and precious metals are absent on purpose.
#[rustfmt::skip]
const CURRENCIES: &[(&str, u16, u8)] = &[
    ("AED", 784, 2), ("AFN", 971, 2), ("ALL", 8, 2), ("AMD", 51, 2), ("AOA", 973, 2), ("ARS", 32, 2), ("AUD", 36, 2),
    ("AWG", 533, 2), ("AZN", 944, 2), ("BAM", 977, 2), ("BBD", 52, 2), ("BDT", 50, 2), ("BGN", 975, 2), ("BHD", 48, 3),
    ("BIF", 108, 0), ("BMD", 60, 2), ("BND", 96, 2), ("BOB", 68, 2), ("BRL", 986, 2), ("BSD", 44, 2), ("BTN", 64, 2),
    ("BWP", 72, 2), ("BYN", 933, 2), ("BZD", 84, 2), ("CAD", 124, 2), ("CDF", 976, 2), ("CHF", 756, 2), ("CLP", 152, 0),
    ("CNY", 156, 2), ("COP", 170, 2), ("CRC", 188, 2), ("CUP", 192, 2), ("CVE", 132, 2), ("CZK", 203, 2), ("DJF", 262, 0),
    ("DKK", 208, 2), ("DOP", 214, 2), ("DZD", 12, 2), ("EGP", 818, 2), ("ERN", 232, 2), ("ETB", 230, 2), ("EUR", 978, 2),
    ("FJD", 242, 2), ("FKP", 238, 2), ("GBP", 826, 2), ("GEL", 981, 2), ("GHS", 936, 2), ("GIP", 292, 2), ("GMD", 270, 2),
    ("GNF", 324, 0), ("GTQ", 320, 2), ("GYD", 328, 2), ("HKD", 344, 2), ("HNL", 340, 2), ("HTG", 332, 2), ("HUF", 348, 2),
    ("IDR", 360, 2), ("ILS", 376, 2), ("INR", 356, 2), ("IQD", 368, 3), ("IRR", 364, 2), ("ISK", 352, 0), ("JMD", 388, 2),
    ("JOD", 400, 3), ("JPY", 392, 0), ("KES", 404, 2), ("KGS", 417, 2), ("KHR", 116, 2), ("KMF", 174, 0), ("KPW", 408, 2),
    ("KRW", 410, 0), ("KWD", 414, 3), ("KYD", 136, 2), ("KZT", 398, 2), ("LAK", 418, 2), ("LBP", 422, 2), ("LKR", 144, 2),
    ("LRD", 430, 2), ("LSL", 426, 2), ("LYD", 434, 3), ("MAD", 504, 2), ("MDL", 498, 2), ("MGA", 969, 2), ("MKD", 807, 2),
    ("MMK", 104, 2), ("MNT", 496, 2), ("MOP", 446, 2), ("MRU", 929, 2), ("MUR", 480, 2), ("MVR", 462, 2), ("MWK", 454, 2),
    ("MXN", 484, 2), ("MYR", 458, 2), ("MZN", 943, 2), ("NAD", 516, 2), ("NGN", 566, 2), ("NIO", 558, 2), ("NOK", 578, 2),
    ("NPR", 524, 2), ("NZD", 554, 2), ("OMR", 512, 3), ("PAB", 590, 2), ("PEN", 604, 2), ("PGK", 598, 2), ("PHP", 608, 2),
    ("PKR", 586, 2), ("PLN", 985, 2), ("PYG", 600, 0), ("QAR", 634, 2), ("RON", 946, 2), ("RSD", 941, 2), ("RUB", 643, 2),
    ("RWF", 646, 0), ("SAR", 682, 2), ("SBD", 90, 2), ("SCR", 690, 2), ("SDG", 938, 2), ("SEK", 752, 2), ("SGD", 702, 2),
    ("SHP", 654, 2), ("SLE", 925, 2), ("SOS", 706, 2), ("SRD", 968, 2), ("SSP", 728, 2), ("STN", 930, 2), ("SYP", 760, 2),
    ("SZL", 748, 2), ("THB", 764, 2), ("TJS", 972, 2), ("TMT", 934, 2), ("TND", 788, 3), ("TOP", 776, 2), ("TRY", 949, 2),
    ("TTD", 780, 2), ("TWD", 901, 2), ("TZS", 834, 2), ("UAH", 980, 2), ("UGX", 800, 0), ("USD", 840, 2), ("UYU", 858, 2),
    ("UZS", 860, 2), ("VES", 928, 2), ("VND", 704, 0), ("VUV", 548, 0), ("WST", 882, 2), ("XAF", 950, 0), ("XCD", 951, 2),
    ("XOF", 952, 0), ("XPF", 953, 0), ("YER", 886, 2), ("ZAR", 710, 2), ("ZMW", 967, 2),
];

/// Digits of the integer part that are read at most: more never fit into 64 bits of minor units.
const MAX_INTEGER_DIGITS: usize = 19;
/// Digits of the fraction that are read; those behind them weigh less than any tolerance here.
const MAX_FRACTION_DIGITS: usize = 18;
/// Float dust of less than 10^-6 of the major unit is tolerated.
const DUST_DIGITS: u32 = 6;

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static (&'static str, u16, u8));

impl Currency {
    /// The euro.
    pub const EUR: Currency = Currency(&("EUR", 978, 2));

    /// The alphabetic code, such as `EUR`.
    pub fn code(self) -> &'static str {
        self.0.0
    }

    /// The numeric code, such as 978.
    pub fn numeric(self) -> u16 {
        self.0.1
    }

    /// How many digits stand behind the decimal point: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        u32::from(self.0.2)
    }

    /// The currency with this numeric code.
    pub fn from_numeric(numeric: u16) -> Option<Currency> {
        CURRENCIES.iter().find(|row| row.1 == numeric).map(Currency)
    }
}

/// The text is no currency that a terminal settles in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCurrency(pub String);

impl fmt::Display for UnknownCurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown currency {:?}, expected an ISO 4217 code in capitals such as EUR", self.0)
    }
}

impl std::error::Error for UnknownCurrency {}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Currency, UnknownCurrency> {
        let row = CURRENCIES.binary_search_by(|row| row.0.cmp(code)).map_err(|_| UnknownCurrency(code.to_owned()))?;
        Ok(Currency(&CURRENCIES[row]))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let code = String::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount: integer minor units of a currency. Never negative; the direction is the [`Operation`](crate::Operation).
///
/// ```
/// use tillswitch_core::{Currency, Money};
///
/// let amount = Money::parse("25.900000000000002", Currency::EUR)?;
/// assert_eq!(amount.minor(), 2590);
/// assert_eq!(amount.to_string(), "25.90 EUR");
/// # Ok::<(), tillswitch_core::AmountError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    #[serde(rename = "amount_minor")]
    minor: u64,
    currency: Currency,
}

/// Whether an amount was written with a minus sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// No sign, or a plus.
    Positive,
    /// A minus: a refund written as a negative amount.
    Negative,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not a decimal number.
    Malformed,
    /// Below zero.
    Negative,
    /// Zero: there is nothing to pay.
    Zero,
    /// More digits behind the point than the currency has.
    TooPrecise {
        /// The currency whose exponent was exceeded.
        currency: Currency,
    },
    /// More than this program can hold.
    Overflow,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AmountError::Malformed => f.write_str("the amount is not a decimal number such as 25.90"),
            AmountError::Negative => f.write_str("the amount is negative"),
            AmountError::Zero => f.write_str("the amount is zero, there is nothing to pay"),
            AmountError::TooPrecise { currency } => {
                write!(f, "the amount has more than the {} decimal places of {currency}", currency.exponent())
            }
            AmountError::Overflow => f.write_str("the amount is too large"),
        }
    }
}

impl std::error::Error for AmountError {}

impl Money {
    /// An amount of so many minor units. Zero is allowed here: a terminal may report that it moved nothing.
    pub fn from_minor(minor: u64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Reads a positive amount from decimal text or from the text of a JSON number.
    pub fn parse(text: &str, currency: Currency) -> Result<Money, AmountError> {
        match Money::parse_signed(text, currency)? {
            (Sign::Positive, amount) => Ok(amount),
            (Sign::Negative, _) => Err(AmountError::Negative),
        }
    }

    /// Reads an amount that may carry a minus sign; the amount itself is the absolute value.
    pub fn parse_signed(text: &str, currency: Currency) -> Result<(Sign, Money), AmountError> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (Sign::Negative, rest),
            None => (Sign::Positive, text),
        };
        let minor = Decimal::parse(digits)?.to_minor(currency)?;
        if minor == 0 {
            return Err(AmountError::Zero);
        }
        Ok((sign, Money { minor, currency }))
    }

    /// Minor units: cents for EUR, yen for JPY, fils for KWD.
    pub fn minor(self) -> u64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units as decimal text with exactly the currency's digits: `25.90`.
    pub fn decimal(self) -> String {
        let exponent = self.currency.exponent();
        if exponent == 0 {
            return self.minor.to_string();
        }
        let unit = 10u64.pow(exponent);
        format!("{}.{:0width$}", self.minor / unit, self.minor % unit, width = exponent as usize)
    }

    /// The sum, if both have the same currency and it fits.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        if self.currency != other.currency {
            return None;
        }
        Some(Money { minor: self.minor.checked_add(other.minor)?, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

/// `digits * 10^-scale`, still without a currency.
struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    fn parse(text: &str) -> Result<Decimal, AmountError> {
        let (mantissa, exponent) = split_exponent(text)?;
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let complete = !integer.is_empty() && (!fraction.is_empty() || !mantissa.contains('.'));
        if !complete || !(integer.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::Malformed);
        }
        let integer = integer.trim_start_matches('0');
        if integer.len() > MAX_INTEGER_DIGITS {
            return Err(AmountError::Overflow);
        }
        let (fraction, tail) = fraction.split_at(fraction.len().min(MAX_FRACTION_DIGITS));
        // An exponent may lift what is cut off into the cents.
        if exponent != 0 && tail.bytes().any(|digit| digit != b'0') {
            return Err(AmountError::Malformed);
        }
        let digits = format!("0{integer}{fraction}").parse().map_err(|_| AmountError::Overflow)?;
        Decimal { digits, scale: fraction.len() as u32 }.shifted(exponent)
    }

    /// Applies the `e` of a JSON number.
    fn shifted(self, exponent: i32) -> Result<Decimal, AmountError> {
        let scale = self.scale as i32 - exponent;
        if scale >= 0 {
            return Ok(Decimal { scale: scale as u32, ..self });
        }
        let factor = 10u128.checked_pow(scale.unsigned_abs()).ok_or(AmountError::Overflow)?;
        let digits = self.digits.checked_mul(factor).ok_or(AmountError::Overflow)?;
        Ok(Decimal { digits, scale: 0 })
    }

    /// Minor units of `currency`, rounding away dust and nothing else.
    fn to_minor(&self, currency: Currency) -> Result<u64, AmountError> {
        let exponent = currency.exponent();
        if self.scale <= exponent {
            let minor = self.digits.checked_mul(10u128.pow(exponent - self.scale));
            return minor.and_then(|minor| u64::try_from(minor).ok()).ok_or(AmountError::Overflow);
        }
        // A scale beyond the largest power of ten means a number far below any tolerance: zero with dust.
        let Some(unit) = 10u128.checked_pow(self.scale - exponent) else {
            return Ok(0);
        };
        let (quotient, remainder) = (self.digits / unit, self.digits % unit);
        let up = remainder >= unit - remainder;
        let dust = if up { unit - remainder } else { remainder };
        if dust != 0 && !is_dust(dust, self.scale) {
            return Err(AmountError::TooPrecise { currency });
        }
        u64::try_from(quotient + u128::from(up && remainder != 0)).map_err(|_| AmountError::Overflow)
    }
}

/// Whether `amount * 10^-scale` major units are less than 10^-6.
fn is_dust(amount: u128, scale: u32) -> bool {
    scale >= DUST_DIGITS && amount < 10u128.pow(scale - DUST_DIGITS)
}

fn split_exponent(text: &str) -> Result<(&str, i32), AmountError> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Ok((text, 0));
    };
    let plain = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if plain.is_empty() || plain.len() > 2 || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AmountError::Malformed);
    }
    let value: i32 = plain.parse().map_err(|_| AmountError::Malformed)?;
    Ok((mantissa, if exponent.starts_with('-') { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, currency: &str, expected: Result<u64, &str>) {
        let found = Money::parse(text, currency.parse().unwrap()).map(Money::minor);
        let found = found.map_err(|error| match error {
            AmountError::Malformed => "malformed",
            AmountError::Negative => "negative",
            AmountError::Zero => "zero",
            AmountError::TooPrecise { .. } => "too precise",
            AmountError::Overflow => "overflow",
        });
        assert_eq!(found, expected, "{text:?} {currency}");
    }

    #[test]
    fn exact_amounts_are_read() {
        for (text, currency, minor) in [
            ("25.90", "EUR", 2590),
            ("25.9", "EUR", 2590),
            ("25.9000", "EUR", 2590),
            ("0.01", "EUR", 1),
            ("7", "EUR", 700),
            ("007", "EUR", 700),
            ("90071992547409.93", "EUR", 9007199254740993),
            ("184467440737095516.15", "EUR", u64::MAX),
            ("1500", "JPY", 1500),
            ("1500.000", "JPY", 1500),
            ("1.234", "KWD", 1234),
            ("2.59e1", "EUR", 2590),
            ("259E-1", "EUR", 2590),
            ("1e2", "JPY", 100),
        ] {
            check(text, currency, Ok(minor));
        }
    }

    #[test]
    fn float_dust_is_tolerated_and_nothing_larger() {
        check("25.900000000000002", "EUR", Ok(2590));
        check("25.899999999999999", "EUR", Ok(2590));
        check("0.1000000000000000055511151231257827021181583404541015625", "EUR", Ok(10));
        check("25.9000009", "EUR", Ok(2590));
        check("25.900001", "EUR", Err("too precise"));
        check("25.8999991", "EUR", Ok(2590));
        check("25.899999", "EUR", Err("too precise"));
        check("25.905", "EUR", Err("too precise"));
        check("0.5", "JPY", Err("too precise"));
        check("1.2345", "KWD", Err("too precise"));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            " ",
            "NaN",
            "inf",
            "abc",
            "1,50",
            "1.",
            ".5",
            "1..2",
            "+1",
            "--1",
            "1e",
            "1e999",
            "0.0000000000000000012e17",
            "0x10",
            "1 ",
            "٣",
        ] {
            check(text, "EUR", Err("malformed"));
        }
        check("-1", "EUR", Err("negative"));
        for text in ["0", "0.00", "-0", "0e5", "0.0000000001", "1e-60"] {
            check(text, "EUR", Err("zero"));
        }
        for text in ["184467440737095516.16", "99999999999999999999", "1e30", "1e99"] {
            check(text, "EUR", Err("overflow"));
        }
    }

    #[test]
    fn a_sign_is_told_apart() {
        let (sign, amount) = Money::parse_signed("-12.50", Currency::EUR).unwrap();
        assert_eq!((sign, amount.minor()), (Sign::Negative, 1250));
    }

    #[test]
    fn amounts_print_with_the_digits_of_their_currency() {
        for (minor, currency, text) in [(5, "EUR", "0.05 EUR"), (1500, "JPY", "1500 JPY"), (1, "KWD", "0.001 KWD")] {
            assert_eq!(Money::from_minor(minor, currency.parse().unwrap()).to_string(), text);
        }
    }

    #[test]
    fn the_currency_table_is_sorted_and_unique() {
        assert!(CURRENCIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut numbers: Vec<u16> = CURRENCIES.iter().map(|row| row.1).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!("EUR".parse(), Ok(Currency::EUR));
        assert_eq!(Currency::from_numeric(414).map(Currency::exponent), Some(3));
        assert!("eur".parse::<Currency>().is_err());
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        let alphabet = b"0123456789.-+eE ";
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..(state % 45) {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                text.push(char::from(alphabet[(state >> 33) as usize % alphabet.len()]));
            }
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let _ = Money::parse_signed(&text, Currency::EUR);
        }
    }
}
