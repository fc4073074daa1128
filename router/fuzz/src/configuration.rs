//! Does every configuration either work or say what is wrong, where and what to do, without telling a secret?

use std::path::Path;

use tillswitch::config::{Config, Fault};

const FILE: &str = "/nowhere/tillswitch.toml";
/// What no message may tell.
const SECRET: &str = "zq7-not-to-be-told-9xv";
/// Stands for a line with a secret. The fuzzer decides where such lines come, not what is in them.
const MARKS: [(char, &str); 3] = [('§', "token"), ('¶', "signature_keys"), ('µ', "api_key")];

/// Input: the text of a file, in which some characters stand for lines with a secret.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // What a text names is read, and this is no place to read devices or the certificates of the system.
    if ["file", "env", "certificate", "tls", "https", "\\u", "\\U", "\\x"].iter().any(|word| text.contains(word)) {
        return;
    }
    let holds_secrets =
        MARKS.iter().any(|(mark, _)| text.contains(*mark)) && !text.contains("\"\"\"") && !text.contains("'''");
    let text = MARKS.iter().fold(text.into_owned(), |text, (mark, key)| text.replace(*mark, &line(key)));
    match Config::parse(&text, Path::new(FILE), &tillswitch::drivers::builtin()) {
        Ok(config) => {
            config.warnings.iter().for_each(|warning| check_fault(warning, &text));
            assert!(config.registers.values().all(|register| config.terminals.contains_key(&register.terminal)));
            assert!(!config.registers.is_empty(), "a router without a register");
            let told = format!("{config:?}");
            assert!(!holds_secrets || !told.contains(SECRET), "{told}");
        }
        Err(faults) => {
            assert!(!faults.faults.is_empty());
            faults.faults.iter().for_each(|fault| check_fault(fault, &text));
            let told = faults.to_string();
            assert!(told.contains(FILE));
            assert!(!holds_secrets || !told.contains(SECRET), "{told}");
        }
    }
}

fn line(key: &str) -> String {
    format!("\n{key} = \"{SECRET}\"\n")
}

fn check_fault(fault: &Fault, text: &str) {
    let lines = text.split('\n').count();
    assert!((1..=lines).contains(&fault.line) && fault.column >= 1, "{fault:?}");
    assert!(!fault.message.is_empty() && !fault.remedy.is_empty(), "{fault:?}");
    let told = fault.describe(Path::new(FILE));
    assert!(told.starts_with(&format!("{FILE}:{}:", fault.line)), "{told}");
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
}
