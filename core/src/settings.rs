//! How a driver reads its part of the configuration, and how it says what is wrong there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::money::Currency;

/// What a driver is built from: one terminal's table, without the router's own keys.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The terminal's name, for messages.
    pub terminal: String,
    /// The currency that the terminal settles in.
    pub currency: Currency,
    /// The folder that relative paths count from: that of the configuration file.
    pub base_dir: PathBuf,
    /// The driver's keys. Secrets are not in here.
    pub table: toml::Table,
    /// What [`DriverFactory::secrets`](crate::DriverFactory::secrets) named, read from where it was kept, by path.
    pub secrets: BTreeMap<String, Secret>,
}

impl Settings {
    /// Settings in euro without any key, to be filled.
    pub fn new(terminal: impl Into<String>) -> Settings {
        Settings {
            terminal: terminal.into(),
            currency: Currency::EUR,
            base_dir: PathBuf::from("."),
            table: toml::Table::new(),
            secrets: BTreeMap::new(),
        }
    }

    /// The same with one more key.
    pub fn with(mut self, key: &str, value: impl Into<toml::Value>) -> Settings {
        self.table.insert(key.to_owned(), value.into());
        self
    }

    /// Starts reading; see [`Reader`].
    pub fn reader(&self) -> Reader<'_> {
        Reader { settings: self, seen: Vec::new(), faults: Vec::new() }
    }
}

/// Which terminal some settings mean. Kept with every payment, so that another terminal is never asked about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where it is reached, with defaults filled in: `192.168.1.100:20007`. No two terminals may share it.
    pub address: String,
    /// Which account it books to, where settings say so, by key. No secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub account: BTreeMap<String, String>,
}

/// One fault in a driver's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Where, below the terminal's table: `address`, `tls.ca`. The router finds file and line from it.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl SettingsError {
    /// A fault at a path, with its remedy.
    pub fn new(path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> SettingsError {
        SettingsError { path: path.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.message, self.remedy)
    }
}

impl std::error::Error for SettingsError {}

/// A text that never shows up in Debug, logs, pages or errors. It has no text form of its own and cannot be serialised:
///
/// ```compile_fail
/// println!("{}", tillswitch_core::Secret::new("hunter2"));
/// ```
/// ```compile_fail
/// fn serialise(_: impl serde::Serialize) {}
/// serialise(tillswitch_core::Secret::new("hunter2"));
/// ```
/// ```compile_fail
/// let _: String = tillswitch_core::Secret::new("hunter2").into();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is too long to be guessed at the speed of a network: 16 characters or more, and not always the same few.
    pub fn is_long(&self) -> bool {
        let mut characters: Vec<char> = self.0.chars().collect();
        let length = characters.len();
        characters.sort_unstable();
        characters.dedup();
        length >= 16 && characters.len() >= 8
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Reads a driver's settings key by key and collects every fault instead of stopping at the first.
///
/// ```
/// use std::time::Duration;
/// use tillswitch_core::Settings;
///
/// let settings = Settings::new("counter").with("adress", "192.168.1.100").with("timeout", "soon");
/// let mut reader = settings.reader();
/// let address: Option<String> = reader.required("address", "write the terminal's address: address = \"192.168.1.100\"");
/// let timeout = reader.duration("timeout", Duration::from_secs(120));
/// let faults = reader.finish().unwrap_err();
/// assert!(address.is_none() && timeout == Duration::from_secs(120));
/// assert_eq!(faults.len(), 3); // a missing key, a bad duration, an unknown key
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    settings: &'a Settings,
    seen: Vec<&'static str>,
    faults: Vec<SettingsError>,
}

impl Reader<'_> {
    /// A key that must be there. `None` means that a fault was noted.
    pub fn required<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str, remedy: &str) -> Option<T> {
        let before = self.faults.len();
        let value = self.optional(key);
        if value.is_none() && self.faults.len() == before {
            self.fault(key, format!("`{key}` is missing"), remedy);
        }
        value
    }

    /// A key that may be there.
    pub fn optional<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<T> {
        self.seen.push(key);
        let value = self.settings.table.get(key)?;
        match T::deserialize(value.clone()) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = error.to_string();
                self.fault(key, message.trim().replace('\n', " "), "see config.example.toml for its form");
                None
            }
        }
    }

    /// A duration such as `"120s"`; the default where it is absent or faulty.
    pub fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        let Some(text) = self.optional::<String>(key) else {
            return default;
        };
        parse_duration(&text).unwrap_or_else(|message| {
            self.fault(key, message, "write a number and a unit: ms, s, m, h or d");
            default
        })
    }

    /// One word of a closed list; the first of them where the key is absent or faulty.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let default = choices[0].1;
        let Some(text) = self.optional::<String>(key) else {
            return default;
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.fault(key, format!("unknown value {text:?}"), format!("expected one of: {}", words.join(", ")));
        default
    }

    /// Notes a fault that the driver found itself.
    pub fn fault(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.faults.push(SettingsError::new(path, message, remedy));
    }

    /// Ends the reading: every key that nobody asked for is a fault as well.
    pub fn finish(mut self) -> Result<(), Vec<SettingsError>> {
        let known = self.seen.join(", ");
        let unknown: Vec<&String> =
            self.settings.table.keys().filter(|key| !self.seen.contains(&key.as_str())).collect();
        for key in unknown {
            let remedy = format!("expected one of: {known}");
            self.faults.push(SettingsError::new(key, format!("unknown key `{key}`"), remedy));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }
}

/// Nothing is meant to take longer than ten years; far longer ones cannot be added to an instant.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Reads a duration as users write it: `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"3650d"`. That last one is the longest.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration, expected for example \"30s\"");
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_start].parse().map_err(|_| wrong())?;
    let millis = match &text[unit_start..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    let too_long = || format!("{text:?} is longer than 3650 days");
    duration.filter(|duration| *duration <= LONGEST).ok_or_else(too_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, expected) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("30s", Some(Duration::from_secs(30))),
            ("5m", Some(Duration::from_secs(300))),
            ("2h", Some(Duration::from_secs(7200))),
            ("3650d", Some(Duration::from_secs(315_360_000))),
            ("3651d", None),
            ("18446744073709551615d", None),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let settings = Settings::new("counter").with("keypad", "shut").with("port", "x").with("adress", "a");
        let mut reader = settings.reader();
        let address: Option<String> = reader.required("address", "write it");
        let port: Option<u16> = reader.optional("port");
        let keypad = reader.choice("keypad", &[("locked", true), ("open", false)]);
        let faults = reader.finish().unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!((address, port, keypad), (None, None, true));
        assert_eq!(paths, ["address", "port", "keypad", "adress"]);
        assert!(faults[3].remedy.contains("address, port, keypad"), "{}", faults[3].remedy);
    }

    #[test]
    fn a_secret_does_not_print() {
        let settings =
            Settings { secrets: [("token".into(), Secret::new("hunter2"))].into(), ..Settings::new("counter") };
        assert!(!format!("{settings:?}{settings:#?}").contains("hunter2"));
        let compared = std::panic::catch_unwind(|| assert_eq!(Secret::new("hunter2"), Secret::new("hunter3")));
        let words = compared.unwrap_err().downcast::<String>().unwrap();
        assert!(words.contains("[secret]") && !words.contains("hunter"), "{words}");
    }
}
