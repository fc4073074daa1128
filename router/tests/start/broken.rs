//! Two hundred configurations, each broken in another way: does each end the start at once, with file, line, key and remedy?

use std::time::{Duration, Instant};

use super::program;

const GOOD: &str = "\
state_dir = \"state\"
min_free = \"64MiB\"

[server]
listen = \"127.0.0.1:0\"
max_connections = 256
shutdown_timeout = \"200s\"

[admin]
listen = \"127.0.0.1:0\"
token = { file = \"token\" }
hosts = [\"till.example\"]

[webhook]
path = \"/webhook/pos-payment\"
signature_keys = [{ file = \"key\" }]
event_types = [\"pos.other\"]
wait = \"180s\"
queue_wait = \"30s\"
max_age = \"5m\"
clock_tolerance = \"5m\"
repeat = \"refuse\"
repeat_window = \"10m\"
tip = \"included\"
default_register = \"POS-01\"

[webhook.answers]
declined = 402
failed = 502

[journal]
url = \"sqlite:payments.db\"
retention = \"3650d\"

[terminals.counter]
driver = \"zvt-tcp\"
address = \"127.0.0.1:20007\"
password = \"000000\"
currency = \"EUR\"
queue = 2
payment_deadline = \"5m\"
accept_partial = false
probe = \"off\"
connection = \"keep\"
keypad = \"locked\"
receipts = \"terminal\"

[terminals.kiosk]
driver = \"zvt-serial\"
device = \"/dev/ttyS99\"
baud_rate = 9600
parity = \"none\"
stop_bits = 2

[terminals.bar]
driver = \"http\"
url = \"http://127.0.0.1:8080/payment\"
timeout = \"120s\"

[registers.POS-01]
project_ids = [\"3f942a4b-728c-4c1b-8c7c-3499f28744a1\"]
terminal = \"counter\"

[registers.POS-02]
project_ids = [\"7\"]
terminal = \"bar\"
";

/// Values that fit nowhere that they are put.
const WRONG: [&str; 5] = ["\"\u{1b}[2Jnonsense\"", "[[1], 2]", "{ a = 1 }", "1979-05-27T07:32:00Z", "-1.5e300"];

/// A broken file, the line that is to blame, and the key.
struct Broken {
    text: String,
    line: usize,
    key: String,
}

/// Every line in which a key is set, with its number.
fn settings() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    GOOD.lines().enumerate().filter_map(|(at, line)| {
        let (key, value) = line.split_once(" = ")?;
        Some((at, key, value))
    })
}

fn with_line(at: usize, line: &str) -> String {
    let lines = GOOD.lines().enumerate().map(|(place, old)| if place == at { line } else { old });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Five wrong values, a misspelt key, a value without its end, and the same key twice, for every line.
fn broken() -> Vec<Broken> {
    let mut broken = Vec::new();
    for (at, key, value) in settings() {
        let wrong = WRONG
            .iter()
            .filter(|wrong| !is_right(key, wrong))
            .map(|wrong| (format!("{key} = {wrong}"), key.to_owned()));
        let misspelt = format!("{key}x");
        let spoilt =
            [(format!("{misspelt} = {value}"), misspelt.clone()), (format!("{key} = {value} ]"), String::new())];
        for (line, key) in wrong.chain(spoilt) {
            broken.push(Broken { text: with_line(at, &line), line: at + 1, key });
        }
        let twice = format!("{key} = {value}\n{key} = {value}");
        broken.push(Broken { text: with_line(at, &twice), line: at + 2, key: key.to_owned() });
    }
    broken
}

/// Texts are texts; what they mean is found out elsewhere.
fn is_right(key: &str, value: &str) -> bool {
    value.starts_with('"') && matches!(key, "state_dir" | "hosts")
}

/// What of it is not said, if anything.
fn check(folder: &std::path::Path, case: &Broken) -> Result<(), String> {
    std::fs::write(folder.join("tillswitch.toml"), &case.text).unwrap();
    let began = Instant::now();
    let ended = program(folder, &["serve"]).output().unwrap();
    let took = began.elapsed();
    let said = String::from_utf8(ended.stderr).unwrap();
    let what = format!("line {} ({:?}), {}:\n{said}", case.line, case.text.lines().nth(case.line - 1), case.key);
    let demand = |fulfilled: bool, demand: &str| if fulfilled { Ok(()) } else { Err(format!("{demand}: {what}")) };
    demand(ended.status.code() == Some(78), "it does not end with 78")?;
    demand(took < Duration::from_secs(1), "it takes longer than a second")?;
    demand(
        said.contains("in tillswitch.toml") && !said.contains('\u{1b}'),
        "it does not sum up, or steers the screen",
    )?;
    demand(!folder.join("state").exists(), "it makes something and fails")?;
    let faults = said.split("\n\n").filter(|fault| fault.starts_with(&format!("tillswitch.toml:{}:", case.line)));
    let remedy = |fault: &str| fault.lines().find_map(|line| line.trim().strip_prefix("= ")).unwrap_or_default().len();
    let named: Vec<&str> = faults.filter(|fault| fault.contains(&case.key)).collect();
    demand(!named.is_empty(), "no fault names line and key")?;
    demand(named.iter().all(|fault| remedy(fault) > 10), "there is no remedy")
}

#[test]
fn every_broken_configuration_ends_the_start_with_its_place_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("key", "key-9d39-of-the-point-of-sale"), ("token", "token-4c1b-of-whoever-runs-it")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("tillswitch.toml"), GOOD).unwrap();
    let checked = program(folder.path(), &["check"]).output().unwrap();
    assert!(checked.status.success(), "the good one is good: {}", String::from_utf8_lossy(&checked.stderr));
    let broken = broken();
    assert!(broken.len() >= 200, "{}", broken.len());
    let wrong: Vec<String> = broken.iter().filter_map(|case| check(folder.path(), case).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), broken.len(), wrong.join("\n\n"));
}
