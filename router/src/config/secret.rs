//! How a secret is read from where it is kept, and kept out of everything that is shown.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tillswitch_core::Secret;
use toml::de::{DeTable, DeValue};

use super::fault::Report;
use super::scope::{Spot, as_text};
use super::value::kind;

/// Where systemd puts the credentials of a service, and what a path calls that folder.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const FORM: &str = "write { file = \"path\" } or { env = \"NAME\" }";

/// A secret that is configured, with its fault noted if it cannot be read.
pub(super) fn read(report: &Report<'_>, base_dir: &Path, path: &str, value: Spot<'_>) -> Option<Secret> {
    match value.get_ref() {
        DeValue::String(text) => inline(report, path, value, text),
        DeValue::Table(table) => referenced(report, base_dir, path, value, table),
        other => {
            report.hide(value.span());
            report.fault(value.span(), path, format!("expected a secret, found {}", kind(other)), FORM);
            None
        }
    }
}

fn inline(report: &Report<'_>, path: &str, value: Spot<'_>, text: &str) -> Option<Secret> {
    report.hide(value.span());
    if text.is_empty() {
        report.fault(value.span(), path, "the secret is empty", FORM);
        return None;
    }
    let remedy = format!("{FORM}, so that the file can be shown and copied");
    report.warning(value.span(), path, format!("`{path}` is written into the file itself"), remedy);
    Some(Secret::new(text))
}

fn referenced(
    report: &Report<'_>,
    base_dir: &Path,
    path: &str,
    value: Spot<'_>,
    table: &DeTable<'_>,
) -> Option<Secret> {
    let mut entries = table.iter();
    let (Some((key, place)), None) = (entries.next(), entries.next()) else {
        hide(report, value);
        report.fault(value.span(), path, "a secret is kept in exactly one place", FORM);
        return None;
    };
    let read = match key.get_ref().as_ref() {
        "env" => as_text(place.get_ref()).and_then(from_environment),
        "file" => as_text(place.get_ref()).and_then(|file| from_file(report, path, place, &located(base_dir, file)?)),
        other => {
            report.hide(place.span());
            Err(format!("a secret is not kept in `{other}`"))
        }
    };
    read.map_err(|message| report.fault(place.span(), path, message, FORM)).ok()
}

fn from_environment(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Err(format!("the environment variable {name:?} is empty")),
        Ok(text) => Ok(Secret::new(text)),
        Err(std::env::VarError::NotPresent) => Err(format!("the environment variable {name:?} is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name:?} is not UTF-8")),
    }
}

/// The file that a path means. `$CREDENTIALS_DIRECTORY/` is the one variable that a path may begin with: systemd says only
/// there where a credential is, and a person who checks the file by hand sets it to where the secrets are.
fn located(base_dir: &Path, file: &str) -> Result<PathBuf, String> {
    match file.strip_prefix('$').and_then(|file| file.strip_prefix(CREDENTIALS)).and_then(|file| file.strip_prefix('/'))
    {
        None => Ok(base_dir.join(file)),
        Some(name) => {
            let folder = credentials().ok_or_else(|| format!("${CREDENTIALS} is not set: only a service has one"))?;
            Ok(folder.join(name))
        }
    }
}

fn credentials() -> Option<PathBuf> {
    std::env::var_os(CREDENTIALS).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

fn from_file(report: &Report<'_>, path: &str, place: Spot<'_>, file: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    // Editors and `echo` end a file with a newline, which is not part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    // systemd lets the service read a credential by an entry of its own, which shows as a group that may read it.
    if let Some(mode) = open_to_others(file)
        && !credentials().is_some_and(|folder| file.starts_with(folder))
    {
        let what = if mode & 0o022 == 0 { "read" } else { "changed" };
        let message = format!("{} can be {what} by other users (mode {mode:03o})", file.display());
        report.warning(place.span(), path, message, format!("chmod 600 {}", file.display()));
    }
    Ok(Secret::new(text))
}

/// The mode of a file that others than its owner may read or write.
///
/// It stays a warning, told at every start, reload and check: systems that mount secrets make them readable to all inside of
/// their container, administrators keep keys as root's own and readable to the router's group, and a shop that cannot open
/// because somebody copied a file has lost more than a key that only users of its own machine may read.
#[cfg(unix)]
pub(super) fn open_to_others(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o066 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(super) fn open_to_others(_file: &Path) -> Option<u32> {
    None
}

/// Keeps everything that may be a secret out of excerpts, before anything is known about the file.
pub(super) fn hide_likely(report: &Report<'_>, table: &DeTable<'_>) {
    for (key, value) in table {
        match value.get_ref() {
            _ if sounds_secret(key.get_ref()) => hide(report, value),
            DeValue::Table(inner) => hide_likely(report, inner),
            _ => {}
        }
    }
}

/// Keeps a value out of excerpts, except where it only says where a secret is kept.
fn hide(report: &Report<'_>, value: Spot<'_>) {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| hide(report, item)),
        DeValue::Table(table) => {
            let parts = table.iter().filter(|(key, _)| !matches!(key.get_ref().as_ref(), "env" | "file"));
            parts.for_each(|(_, part)| hide(report, part));
        }
        _ => report.hide(value.span()),
    }
}

/// Where a text names the user and the password of an address: what stands between `://` and the last `@` of the line.
pub(super) fn user_info(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(place, separator)| {
        let start = place + separator.len();
        let line = text[start..].lines().next().unwrap_or_default();
        line.rfind('@').map(|length| start..start + length)
    })
}

/// The same text without them.
pub(super) fn without_user_info(text: &str) -> String {
    match user_info(text).next() {
        Some(span) => format!("{}…{}", &text[..span.start], without_user_info(&text[span.end..])),
        None => text.to_owned(),
    }
}

fn sounds_secret(key: &str) -> bool {
    contains_word(key, &["key", "keys", "token", "tokens", "secret", "secrets", "apikey"])
}

/// Whether a line of a file that cannot even be parsed may hold a secret.
pub(super) fn may_hold_secret(line: &str) -> bool {
    sounds_secret(line) || contains_word(line, &["password", "passwd", "pin"])
}

fn contains_word(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
}
