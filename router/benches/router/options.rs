//! What can be asked for, and what the machine has to allow.

/// How much is measured.
pub struct Options {
    /// With how many registers, one after the other.
    pub registers: Vec<usize>,
    /// Payments of a round in which all registers pay at once. Every register makes two at least.
    pub payments: usize,
    /// Payments of a round in which one waits for the other.
    pub single: usize,
    /// How many rounds of either kind.
    pub rounds: usize,
}

impl Options {
    /// Reads `--registers 1,16`, `--payments 1000` and `--quick`. What cargo adds is passed over.
    pub fn parse(arguments: &[String]) -> Options {
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let mut options = if quick {
            Options { registers: vec![1, 16], payments: 200, single: 100, rounds: 1 }
        } else {
            Options { registers: vec![1, 16, 64, 256, 1000], payments: 1000, single: 300, rounds: 3 }
        };
        if let Some(text) = value(arguments, "--registers") {
            options.registers = text.split(',').map(|number| number_of("--registers", number)).collect();
        }
        if let Some(text) = value(arguments, "--payments") {
            options.payments = number_of("--payments", text);
        }
        options
    }
}

fn value<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let place = arguments.iter().position(|argument| argument == name)?;
    Some(arguments.get(place + 1).unwrap_or_else(|| panic!("{name} takes a value")))
}

fn number_of(name: &str, text: &str) -> usize {
    let number = text.parse().ok().filter(|number| (1..=100_000).contains(number));
    number.unwrap_or_else(|| panic!("{name} takes numbers from 1 to 100000, not {text:?}"))
}

/// How many files this process may open (proc(5)).
pub fn files_allowed() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("this bench runs on Linux");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(usize::MAX)
}

/// Each register has two terminals here, each with a port, a ledger and up to two clients, and a till.
pub fn files_needed(registers: usize) -> usize {
    10 * registers + 200
}
