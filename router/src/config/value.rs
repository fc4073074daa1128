//! How single values are written: addresses, sizes, choices, names; and how near a misspelt word is to a known one.

use std::net::SocketAddr;

use toml::de::DeValue;

/// Reads a size as users write it: `"512B"`, `"64KiB"`, `"64MiB"`, `"1GiB"`.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size");
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_start].parse().map_err(|_| wrong())?;
    let unit: u64 = match &text[unit_start..] {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// Reads an address to listen on. The message says which half is missing, because both are common.
pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err(format!("{text:?} has no port"));
    }
    match text.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_err() => Err(format!("{text:?} has no valid port")),
        Some((host, _)) => Err(format!("{host:?} is no IP address; names are not looked up to listen on")),
        None => Err(format!("{text:?} is no address with a port")),
    }
}

/// Whether a register or terminal may be called this: names stand in addresses of pages, in metrics and in logs.
pub(super) fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    (1..=64).contains(&length) && text.trim() == text && !text.chars().any(|c| c.is_control() || c == '/')
}

/// The word of a list that somebody probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known));
    near.filter(|(distance, known)| *distance <= 1 + known.chars().count() / 4).min().map(|(_, known)| known)
}

/// "did you mean `a`?", or the whole list.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("expected one of: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// What kind of value somebody wrote, as a person says it.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// An integer as it was written, whatever its radix.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value without its places, as drivers get it. `None` where a number does not fit into 64 bits.
pub(super) fn plain(value: &DeValue<'_>) -> Option<toml::Value> {
    Some(match value {
        DeValue::String(text) => toml::Value::String(text.clone().into_owned()),
        DeValue::Integer(_) => toml::Value::Integer(integer(value)?),
        DeValue::Float(float) => toml::Value::Float(float.as_str().parse().ok()?),
        DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
        DeValue::Datetime(time) => toml::Value::Datetime(*time),
        DeValue::Array(items) => {
            toml::Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), plain(value.get_ref())?)));
            toml::Value::Table(entries.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_written() {
        for (text, expected) in [
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("64MiB", Some(67_108_864)),
            ("1GiB", Some(1_073_741_824)),
            ("64", None),
            ("MiB", None),
            ("64 MiB", None),
            ("-1MiB", None),
            ("99999999999999GiB", None),
        ] {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_address_says_which_half_is_wrong() {
        for (text, part) in [
            ("localhost:5000", "\"localhost\" is no IP address"),
            ("127.0.0.1", "has no port"),
            ("::1", "has no port"),
            ("127.0.0.1:99999", "no valid port"),
            ("everywhere", "no address with a port"),
        ] {
            let message = parse_listen(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(parse_listen("[::1]:5000").is_ok());
    }

    #[test]
    fn misspelt_words_are_recognised_and_others_are_not() {
        let known = ["listen", "max_connections", "shutdown_timeout"];
        for (word, expected) in [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("max_conections", Some("max_connections")),
            ("port", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
