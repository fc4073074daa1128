//! Whether the tables list everything that the standard's tables list, and nothing else.
//!
//! `table_keys.txt` has the keys: one table a line, its name and then every key of it.

use std::collections::BTreeSet;

use tillswitch_zvt::tables::bit_fields::{BIT_FIELDS, Meaning};
use tillswitch_zvt::tables::{bmps, card_types, commands, intermediate_status, result_codes, tags, terminal_status};

type Keys = BTreeSet<String>;

/// The keys that the standard lists, without those in `absent`, are the keys of the table.
fn check(table: &str, absent: &[&str], found: impl IntoIterator<Item = String>) {
    let found: Keys = found.into_iter().collect();
    let expected: Keys = keys(table).into_iter().filter(|key| !absent.contains(&key.as_str())).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let invented: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{table}: missing {missing:?}, invented {invented:?}");
}

fn keys(table: &str) -> Keys {
    let mut lines = include_str!("table_keys.txt").lines().filter_map(|line| line.split_once(": "));
    let line = lines.find(|(name, _)| *name == table).unwrap_or_else(|| panic!("table_keys.txt lacks {table}"));
    line.1.split(' ').map(str::to_owned).collect()
}

fn byte(code: u8) -> String {
    format!("{code:02X}")
}

#[test]
fn commands_are_complete() {
    // The answers are no commands.
    let found = commands::COMMANDS.iter().map(|row| format!("{:02X}{:02X}", row.control[0], row.control[1]));
    check("commands", &["8000", "8400", "84xx"], found);
}

#[test]
fn fields_and_tags_are_complete() {
    check("bmps", &[], bmps::BMPS.iter().map(|row| byte(row.tag)));
    check("tags", &[], tags::TAGS.iter().map(|row| format!("{:02X}", row.tag)));
}

#[test]
fn codes_are_complete() {
    check("result_codes", &[], result_codes::RESULT_CODES.iter().map(|row| byte(row.0)));
    check("card_complete", &[], result_codes::CARD_COMPLETE.iter().map(|row| byte(row.0)));
    check("lavego", &[], result_codes::LAVEGO.iter().map(|row| byte(row.0)));
    check("negative_data", &[], [byte(result_codes::STOP_WITHOUT_TEXT)]);
    check("terminal_status", &[], terminal_status::TERMINAL_STATUS.iter().map(|row| byte(row.0)));
    // 4A has no meaning, FF says that only the text counts.
    let found = intermediate_status::INTERMEDIATE_STATUS.iter().map(|row| byte(row.0));
    check("intermediate_status", &["4A", "FF"], found);
    // 4 is reserved, 255 says that the type is in tag 41.
    check("card_types", &["4", "255"], card_types::CARD_TYPES.iter().map(|row| row.0.to_string()));
}

/// 01 to 63 belong to the host, and every one of them is worded as its refusal.
#[test]
fn host_codes_are_worded() {
    assert_eq!(keys("host_codes"), ["01-63".to_owned()].into());
    for code in 0x01..=0x63 {
        assert_eq!(result_codes::category(code), result_codes::Category::Host);
        assert_eq!(result_codes::wording(code).german, "Von der Bank abgelehnt");
    }
}

#[test]
fn bit_fields_are_complete() {
    let key = |row: &Meaning| format!("{:02X}/{:02X}", row.mask, row.value);
    for (name, table) in BIT_FIELDS {
        check(&format!("bits {name}"), &[], table.iter().map(key));
    }
    let listed = include_str!("table_keys.txt").lines().filter(|line| line.starts_with("bits ")).count();
    assert_eq!(BIT_FIELDS.len(), listed);
}

#[test]
fn nothing_is_named_with_nothing() {
    let names = commands::COMMANDS.iter().map(|row| row.name).chain(tags::TAGS.iter().map(|row| row.name));
    let names =
        names.chain(bmps::BMPS.iter().map(|row| row.name)).chain(card_types::CARD_TYPES.iter().map(|row| row.1));
    for name in names {
        assert!(!name.is_empty() && name.trim() == name, "{name:?}");
    }
    let wordings = result_codes::RESULT_CODES.iter().map(|row| row.2);
    let wordings = wordings.chain(intermediate_status::INTERMEDIATE_STATUS.iter().map(|row| row.1));
    for wording in wordings.chain(terminal_status::TERMINAL_STATUS.iter().map(|row| row.1)) {
        assert!(!wording.german.is_empty() && !wording.english.is_empty(), "{wording:?}");
    }
}
