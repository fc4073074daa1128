//! How one table of the file is read: key by key, every fault noted, nothing ignored.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use tillswitch_core::settings::parse_duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Report;
use super::value::{integer, kind, nearest, parse_listen, parse_size, suggest};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A value with its place.
pub(super) type Spot<'a> = &'a Spanned<DeValue<'a>>;

/// One table that is being read. A table that is not in the file reads like an empty one.
pub(super) struct Scope<'a> {
    pub(super) report: &'a Report<'a>,
    table: Option<&'a DeTable<'a>>,
    header: Range<usize>,
    path: String,
    known: Vec<&'static str>,
}

impl<'a> Scope<'a> {
    /// The table at `path`, whose header or key stands at `header`.
    pub(super) fn new(
        report: &'a Report<'a>,
        table: Option<&'a DeTable<'a>>,
        header: Range<usize>,
        path: impl Into<String>,
    ) -> Scope<'a> {
        Scope { report, table, header, path: path.into(), known: Vec::new() }
    }

    /// The path of a key in this table; of the table itself for an empty key.
    pub(super) fn path(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Where the value of a key stands, or the table's header when the key is absent.
    pub(super) fn span(&self, key: &str) -> Range<usize> {
        self.table.and_then(|table| table.get(key)).map_or(self.header.clone(), Spanned::span)
    }

    /// Notes a fault at the value of a key, or at the header when it is absent.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.fault(self.span(key), &self.path(key), message, remedy);
    }

    /// Notes a warning at the value of a key, or at the header when it is absent.
    pub(super) fn warning(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.warning(self.span(key), &self.path(key), message, remedy);
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// A key that may be there, as it stands.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Spot<'a>> {
        self.known.push(key);
        self.table?.get(key)
    }

    /// A key that may be there, read by `parse`; what that says is noted with `form` as the remedy.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        form: &str,
        parse: impl FnOnce(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        parse(value.get_ref()).map_err(|message| self.fault(key, message, form)).ok()
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, form: &str) -> Option<String> {
        self.read(key, form, |value| Ok(as_text(value)?.to_owned()))
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, key: &'static str, form: &str) -> Option<String> {
        if !self.has(key) {
            self.known.push(key);
            self.fault(key, format!("`{key}` is missing"), form);
            return None;
        }
        self.text(key, form)
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let read = |value: &DeValue<'a>| {
            value.as_bool().ok_or_else(|| format!("expected true or false, found {}", kind(value)))
        };
        self.read(key, &format!("write {key} = true or {key} = false, without quotes"), read).unwrap_or(default)
    }

    /// An integer within limits.
    pub(super) fn integer(&mut self, key: &'static str, default: u32, limits: RangeInclusive<u32>) -> u32 {
        let form = format!("write a number from {} to {}, without quotes", limits.start(), limits.end());
        self.read(key, &form, |value| {
            let number = integer(value).ok_or_else(|| format!("expected an integer, found {}", kind(value)))?;
            let number = u32::try_from(number).ok().filter(|number| limits.contains(number));
            number.ok_or_else(|| format!("`{key}` is out of its limits"))
        })
        .unwrap_or(default)
    }

    /// A duration, if it is there.
    pub(super) fn optional_duration(&mut self, key: &'static str) -> Option<Duration> {
        let form = format!("write a number and a unit (ms, s, m, h or d): {key} = \"30s\"");
        self.read(key, &form, |value| parse_duration(as_text(value)?))
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        self.optional_duration(key).unwrap_or(default)
    }

    /// A duration for which something running is waited for: a day at most.
    pub(super) fn wait(&mut self, key: &'static str, default: Duration) -> Duration {
        let duration = self.duration(key, default);
        if duration > DAY {
            let remedy = format!("write \"24h\" or less; the default is {default:?}");
            self.fault(key, format!("`{key}` ({duration:?}) is longer than a day"), remedy);
            return default;
        }
        duration
    }

    /// The same, and not zero.
    pub(super) fn positive_wait(&mut self, key: &'static str, default: Duration) -> Duration {
        let duration = self.wait(key, default);
        if duration.is_zero() {
            self.fault(key, format!("`{key}` must be longer than nothing"), format!("the default is {default:?}"));
        }
        duration
    }

    /// A size in bytes.
    pub(super) fn size(&mut self, key: &'static str, default: u64) -> u64 {
        let form = format!("write a number and a unit (B, KiB, MiB or GiB): {key} = \"64MiB\"");
        self.read(key, &form, |value| parse_size(as_text(value)?)).unwrap_or(default)
    }

    /// An address to listen on.
    pub(super) fn listen(&mut self, key: &'static str, default: SocketAddr) -> SocketAddr {
        let form =
            format!("write an IP address and a port: {key} = \"{default}\", or \"0.0.0.0:PORT\" for all networks");
        self.read(key, &form, |value| parse_listen(as_text(value)?)).unwrap_or(default)
    }

    /// One word of a closed list; the first one where the key is absent or faulty.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> T {
        let words = choices.iter().map(|(word, _)| *word);
        let form = format!("expected one of: {}", words.collect::<Vec<_>>().join(", "));
        let chosen = self.read(key, &form, |value| {
            let text = as_text(value)?;
            let choice = choices.iter().find(|(word, _)| *word == text);
            choice.map(|(_, value)| *value).ok_or_else(|| format!("unknown value {text:?}"))
        });
        chosen.unwrap_or(choices[0].1)
    }

    /// A list of texts; what else stands in it is a fault each.
    pub(super) fn texts(&mut self, key: &'static str, form: &str) -> Vec<String> {
        let items = self.list(key, form);
        let texts = items.into_iter().filter_map(|item| match as_text(item.get_ref()) {
            Ok(text) => Some(text.to_owned()),
            Err(message) => {
                self.report.fault(item.span(), &self.path(key), message, form);
                None
            }
        });
        texts.collect()
    }

    /// A list; empty where the key is absent or no list.
    pub(super) fn list(&mut self, key: &'static str, form: &str) -> Vec<Spot<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        if let DeValue::Array(items) = value.get_ref() {
            return items.iter().collect();
        }
        self.fault(key, format!("expected a list, found {}", kind(value.get_ref())), form);
        Vec::new()
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, key: &'static str) -> Scope<'a> {
        let path = self.path(key);
        match self.value(key) {
            None => Scope::new(self.report, None, self.header.clone(), path),
            Some(value) => Scope::of(self.report, value, path),
        }
    }

    /// The tables inside this table of tables, by name, each with the place of its name.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<(&'a str, Scope<'a>)> {
        let scope = self.section(key);
        let entries = scope.table.into_iter().flatten();
        let named = entries.map(|(name, value)| (name.get_ref().as_ref(), value));
        named.map(|(name, value)| (name, Scope::of(self.report, value, scope.path(name)))).collect()
    }

    fn of(report: &'a Report<'a>, value: Spot<'a>, path: String) -> Scope<'a> {
        if value.get_ref().as_table().is_none() {
            let message = format!("expected a table, found {}", kind(value.get_ref()));
            report.fault(value.span(), &path, message, format!("write it as a table: [{path}]"));
        }
        Scope::new(report, value.get_ref().as_table(), value.span(), path)
    }

    /// All entries that nobody asked for yet, for the part of a table that belongs to a driver.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'a Spanned<std::borrow::Cow<'a, str>>, Spot<'a>)> {
        let entries = self.table.into_iter().flatten();
        entries.filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref()))
    }

    /// Notes that a key that must be there is misspelt, if one of the others is probably meant to be it.
    pub(super) fn is_misspelt(&self, wanted: &str) -> bool {
        let meant = self.rest().find(|(key, _)| nearest(key.get_ref(), [wanted]).is_some());
        if let Some((key, _)) = meant {
            let (name, remedy) = (key.get_ref(), format!("did you mean `{wanted}`?"));
            self.report.fault(key.span(), &self.path(name), format!("unknown key `{name}` in [{}]", self.path), remedy);
        }
        meant.is_some()
    }

    /// The place of a path below this table, key and value together; the deepest part of it that is there.
    pub(super) fn locate<'s>(&self, path: impl IntoIterator<Item = &'s str>) -> Range<usize> {
        let (mut table, mut place) = (self.table, self.header.clone());
        for step in path {
            let Some((key, value)) = table.and_then(|table| table.get_key_value(step)) else {
                break;
            };
            place = key.span().start.min(value.span().start)..value.span().end.max(key.span().end);
            table = value.get_ref().as_table();
        }
        place
    }

    /// The value at a dotted path below this table.
    pub(super) fn find(&self, path: &str) -> Option<Spot<'a>> {
        let (parents, key) = path.rsplit_once('.').map_or((None, path), |(parents, key)| (Some(parents), key));
        let mut table = self.table?;
        for step in parents.into_iter().flat_map(|parents| parents.split('.')) {
            table = table.get(step)?.get_ref().as_table()?;
        }
        table.get(key)
    }

    /// Ends the reading: every key that nobody asked for is a fault.
    pub(super) fn finish(self) {
        for (key, value) in self.rest() {
            let name = key.get_ref();
            // What a misspelt key holds may be a secret.
            self.report.hide(value.span());
            let place = if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path) };
            let remedy = suggest(name, self.known.iter().copied());
            self.report.fault(key.span(), &self.path(name), format!("unknown key `{name}`{place}"), remedy);
        }
    }
}

/// The text of a value, or what was found instead.
pub(super) fn as_text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("expected a text in quotes, found {}", kind(value)))
}
