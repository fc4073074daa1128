//! Whether conversations go as the transcripts in `tests/transcripts/driver` say.
//!
//! | line | means |
//! |---|---|
//! | `sale 25.90`, `reversal 25.90`, … | what is asked; behind it `, less is fine` or, with the last receipt, `, after 0342` |
//! | `ECR> 06 01 …`, `ECR> 06 01 ...` | we send this; three dots: or anything that begins so |
//! | `PT> 80 00 00` | the terminal sends this |
//! | `silence T3`, `T4`, `5 s`, `2 min` | nothing comes within that wait, which must be the one that runs |
//! | `link lost`, `not sent`, `abort` | what happens to the conversation |
//! | `recorded approved 25.90`, `not recorded …` | it is to be stored, and is or is not |
//! | `late approved 10.00`, `slip customer`, `shown 0a` | further wishes, in their order; `shown` may be left out |
//! | `=> approved 25.90, code 00` | the end; `, line lost` behind it where answers may still come |

use std::collections::VecDeque;
use std::path::Path;

use tillswitch_core::{Currency, Details, Reason};

use super::*;
use crate::apdu::Apdu;
use crate::conversation::Action;
use crate::learnt::How;

struct Transcript<'a> {
    name: &'a str,
    line: usize,
    payment: Payment,
    wishes: VecDeque<Action<End>>,
    wait: Option<Wait>,
    ended: bool,
}

#[test]
fn conversations_go_as_the_transcripts_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/driver");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        check(path.file_stem().unwrap().to_str().unwrap(), &text);
        checked += 1;
    }
    assert!(checked > 20, "only {checked} transcripts were found");
}

fn check(name: &str, text: &str) {
    let mut transcript: Option<Transcript<'_>> = None;
    for (place, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match &mut transcript {
            _ if line.is_empty() => {}
            None => transcript = Some(Transcript::begin(name, line)),
            Some(transcript) => {
                transcript.line = place + 1;
                transcript.step(line);
            }
        }
    }
    assert!(transcript.is_some_and(|transcript| transcript.ended), "{name} has no end");
}

impl<'a> Transcript<'a> {
    fn begin(name: &'a str, line: &str) -> Transcript<'a> {
        let (line, wish) = line.split_once(", ").unwrap_or((line, ""));
        let accept_partial = wish == "less is fine";
        let line_loses_messages = wish == "on a serial line";
        let previous = wish.strip_prefix("after ").map(|receipt| Learnt {
            receipt: Some(receipt.into()),
            trace: Some("000086".into()),
            time: None,
            how: How::Answer,
        });
        let (operation, amount) = line.split_once(' ').unwrap();
        let amount = money(amount);
        let password = Password::new("000000").unwrap();
        let command = match operation {
            "sale" => Command::authorization(amount.minor(), None),
            "refund" => Command::refund(password, amount.minor(), None),
            "reversal" => Command::reversal(password, "0470"),
            other => panic!("{name}: unknown operation {other}"),
        };
        let mut payment = Payment::new(Asked {
            command: command.unwrap(),
            amount,
            accept_partial,
            password,
            terminal_id: Some("29001612".into()),
            previous,
            charset: Charset::Cp437,
            enquiries: 36,
            line_loses_messages,
        });
        let wishes = payment.start().into();
        Transcript { name, line: 1, payment, wishes, wait: None, ended: false }
    }

    fn step(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "PT>" => {
                let apdu = Apdu::decode(&bytes(rest)).unwrap();
                self.note_waits_and_progress("");
                // Once the terminal is master, every message of its own must start the wait anew.
                if self.payment.stage == Stage::Running && !apdu.is_answer() {
                    self.wait = None;
                }
                self.tell(Input::Received(Reply::parse(&apdu, Charset::Cp437)));
            }
            "silence" => self.silence(rest),
            "link" => self.tell(Input::Broken(Reason::new(Cause::LinkLost, "cut"))),
            "not" if rest == "sent" => self.tell(Input::NotSent(Reason::new(Cause::Unreachable, "cut"))),
            "abort" => self.tell(Input::AbortWanted),
            _ => self.expect(line),
        }
    }

    fn tell(&mut self, input: Input) {
        self.note_waits_and_progress("");
        assert!(self.wishes.is_empty(), "{}, line {}: unexpected {:?}", self.name, self.line, self.wishes);
        self.wishes = self.payment.next(input).into();
    }

    fn silence(&mut self, wait: &str) {
        self.note_waits_and_progress("");
        let running = match self.wait {
            Some(Wait::Answer) => "T3".to_owned(),
            Some(Wait::Completion(None)) => "T4".to_owned(),
            Some(Wait::Completion(Some(minutes))) => format!("{minutes} min"),
            Some(Wait::AfterFailure) => "5 s".to_owned(),
            Some(Wait::Enquiry) | None => "none".to_owned(),
        };
        assert_eq!(running, wait, "{}, line {}: the wait that runs", self.name, self.line);
        self.tell(Input::TimedOut);
    }

    fn expect(&mut self, line: &str) {
        self.note_waits_and_progress(line);
        let wish = self.wishes.pop_front();
        let wish = wish.unwrap_or_else(|| panic!("{}, line {}: nothing happens", self.name, self.line));
        let line_lost = matches!(wish, Action::Finish(Ok(_))) && self.payment.leaves_answers_behind();
        let told = format!("{}{}", describe(&wish), if line_lost { ", line lost" } else { "" });
        let expected = line.strip_prefix("not ").filter(|rest| rest.starts_with("recorded")).unwrap_or(line);
        let fits = match expected.strip_suffix(" ...") {
            Some(start) => told.starts_with(start),
            None => told == expected,
        };
        assert!(fits, "{}, line {}: expected {expected}, found {told}", self.name, self.line);
        match wish {
            Action::Record(_) if expected == line => self.feed(Input::Stored),
            Action::Record(_) => self.feed(Input::NotStored),
            Action::Finish(_) => self.ended = true,
            Action::Command(_)
            | Action::Answer(_)
            | Action::Wait(_)
            | Action::Show(_)
            | Action::Late(_)
            | Action::Slip(_) => {}
        }
    }

    fn feed(&mut self, input: Input) {
        let further = self.payment.next(input);
        self.wishes.extend(further);
    }

    fn note_waits_and_progress(&mut self, line: &str) {
        while let Some(first) = self.wishes.front() {
            match first {
                Action::Wait(wait) => self.wait = Some(*wait),
                Action::Show(_) if !line.starts_with("shown") => {}
                _ => return,
            }
            self.wishes.pop_front();
        }
    }
}

fn describe(wish: &Action<End>) -> String {
    match wish {
        Action::Command(command) => format!("ECR> {}", hex(&command.encode())),
        Action::Answer(apdu) => format!("ECR> {}", hex(apdu)),
        Action::Wait(wait) => format!("wait {wait:?}"),
        Action::Show(progress) => format!("shown {}", progress.code.as_deref().unwrap_or_default()),
        Action::Record(outcome) => format!("recorded {}", short(outcome)),
        Action::Late(late) => format!("late {}", short(&late.said)),
        Action::Slip(receipt) => format!("slip {}", receipt.kind.name()),
        Action::Finish(Ok(outcome)) => format!("=> {}, {}", short(outcome), details(outcome.details())),
        Action::Finish(Err(DriverError::NotStarted(reason))) => format!("=> not started, {}", reason.cause.name()),
        Action::Finish(Err(DriverError::InDoubt(reason))) => format!("=> in doubt, {}", reason.cause.name()),
        Action::Finish(Err(DriverError::Unsupported)) => "=> unsupported".into(),
    }
}

fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Approved(approval) => format!("approved {}", approval.amount).replace(" EUR", ""),
        Outcome::Declined(_) | Outcome::Cancelled(_) => outcome.name().to_owned(),
    }
}

fn details(details: &Details) -> String {
    let mut text = format!("code {}", details.code);
    if let Some(receipt) = &details.receipt_number {
        text.push_str(&format!(", receipt {receipt}"));
    }
    text
}

fn money(text: &str) -> Money {
    Money::parse(text, Currency::EUR).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn hex(apdu: &Apdu) -> String {
    let bytes: Vec<String> = apdu.encode().unwrap().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(" ")
}
