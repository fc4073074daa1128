//! Whether messages of real terminals, and of other people's tests, are read as what they are.
//!
//! `vectors.txt` has them as text: a name, `wire` and the bytes on a serial line where they are known, the message, and
//! what it means. Card numbers in it were masked by the terminals themselves. Everything that is read must be written
//! again byte by byte.

use tillswitch_zvt::apdu::{Apdu, ApduError, control};
use tillswitch_zvt::charset::Charset;
use tillswitch_zvt::clock::{MonthDay, TimeOfDay};
use tillswitch_zvt::command::Command;
use tillswitch_zvt::fields::{Expiry, Fields};
use tillswitch_zvt::registration::Registration;
use tillswitch_zvt::reply::{Completion, Reply};
use tillswitch_zvt::slip::SlipLine;
use tillswitch_zvt::totals::Totals;

const CHARSET: Charset = Charset::Cp437;

/// How many messages there are, and how many of them with the bytes on a serial line.
const MESSAGES: (usize, usize) = (72, 31);

#[test]
fn every_message_means_what_it_should() {
    let vectors = vectors();
    let wrong: Vec<String> = vectors.iter().filter_map(|vector| check(vector).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_message_is_there_once() {
    let vectors = vectors();
    let mut names: Vec<_> = vectors.iter().map(|vector| (vector.name, vector.hex)).collect();
    let with_wire = vectors.iter().filter(|vector| vector.wire.is_some()).count();
    assert_eq!((names.len(), with_wire), MESSAGES);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MESSAGES.0, "something is listed twice");
}

/// Without its frame, its doubled 10 and its checksum, what is on the line is the message.
#[test]
fn what_is_on_the_line_is_the_message() {
    for vector in vectors() {
        let Some(wire) = vector.wire else { continue };
        let message = bytes_of(vector.hex);
        let doubled: Vec<u8> = message.iter().flat_map(|byte| vec![*byte; if *byte == 0x10 { 2 } else { 1 }]).collect();
        let frame = [&[0x10, 0x02], doubled.as_slice(), &[0x10, 0x03]].concat();
        let wire = bytes_of(wire);
        assert_eq!(&wire[..wire.len() - 2], frame, "{}", vector.name);
    }
}

#[test]
fn a_message_that_was_cut_off() {
    // The length says 68 bytes, 37 are there: no message, but what is there can be read.
    let bytes = bytes_of(
        "04 0F 44 27 6C 04 00 00 00 00 12 00 49 09 78 0C 11 33 39 0D 08 17 22 F0 F0 0B 00 00 00 19 60 29 52 50 02 95 \
         8B F0 F1 00",
    );
    assert_eq!(Apdu::decode(&bytes), Err(ApduError::Truncated));
    let fields = Fields::parse(&bytes[3..]);
    assert_eq!(fields.result_code(), Some(0x6C));
    assert_eq!(fields.terminal_id().as_deref(), Some("52500295"));
    assert!(fields.undecoded().is_empty());
}

struct Vector {
    name: &'static str,
    wire: Option<&'static str>,
    hex: &'static str,
    expected: Vec<&'static str>,
}

fn vectors() -> Vec<Vector> {
    let blocks = include_str!("vectors.txt").split("\n\n").filter(|block| !block.trim_start().starts_with("//"));
    blocks.map(vector).collect()
}

fn vector(block: &'static str) -> Vector {
    let mut lines = block.trim().lines().peekable();
    let name = lines.next().unwrap_or_else(|| panic!("a vector needs a name: {block:?}"));
    let wire = lines.next_if(|line| line.starts_with("wire ")).and_then(|line| line.strip_prefix("wire "));
    let hex = lines.next().unwrap_or_else(|| panic!("{name} has no bytes"));
    Vector { name, wire, hex, expected: lines.map(str::trim).collect() }
}

fn check(vector: &Vector) -> Result<(), String> {
    let Vector { name, hex, expected, .. } = vector;
    let bytes = bytes_of(hex);
    let apdu = Apdu::decode(&bytes);
    let found = match &apdu {
        Ok(apdu) => describe(apdu),
        Err(error) => vec![format!("error: {error}")],
    };
    if found != *expected {
        return Err(format!("{name}\n{hex}\n  {}", found.join("\n  ")));
    }
    apdu.map_or(Ok(()), |apdu| check_writing(name, &bytes, &apdu))
}

/// A length field in its long form for a short message is legal, and the one thing that is not written as read.
fn check_writing(name: &str, bytes: &[u8], apdu: &Apdu) -> Result<(), String> {
    let again = Command::parse(apdu).map_err(|error| format!("{name}: {error}"))?.encode();
    let written = again.encode().map_err(|error| format!("{name}: {error}"))?;
    let is_long_form = bytes.get(2) == Some(&0xFF) && apdu.data.len() < 0xFF;
    if written != bytes && !is_long_form {
        return Err(format!("{name} is written differently"));
    }
    let fields = Fields::parse(&apdu.data);
    if apdu.control() == control::STATUS_INFORMATION && fields.encode() != apdu.data {
        return Err(format!("the fields of {name} are written differently"));
    }
    Ok(())
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |text| u8::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text:?} is not a byte"));
    hex.split_whitespace().map(byte).collect()
}

fn describe(apdu: &Apdu) -> Vec<String> {
    match Command::parse(apdu) {
        Ok(Command::Other(_)) => reply(apdu),
        Ok(command) => of_command(&command),
        Err(error) => vec![error.to_string()],
    }
}

fn of_command(command: &Command) -> Vec<String> {
    match command {
        Command::Registration(read) => registration(read),
        Command::Authorization { fields: read } => with("authorization", read),
        Command::Refund { fields: read, .. } => with("refund, password", read),
        Command::Reversal { fields: read, .. } => with("reversal, password", read),
        Command::RepeatReceipt { fields: read, .. } => with("repeat receipt, password", read),
        Command::EndOfDay { fields: read, .. } => with("end of day, password", read),
        Command::Initialisation { .. } => vec!["initialisation, password".into()],
        Command::PreAuthorization { fields: read } => with("pre-authorization", read),
        Command::PartialReversal { fields: read } => with("partial reversal", read),
        Command::BookTotal { fields: read } => with("book total", read),
        Command::PreAuthorizationReversal { fields: read } => with("pre-authorization reversal", read),
        Command::DisplayText { fields: read } => display(read),
        Command::Restart => vec!["restart".into()],
        Command::StatusEnquiry { password: Some(_), fields: read } => with("status enquiry, password", read),
        Command::StatusEnquiry { password: None, .. } => vec!["status enquiry".into()],
        Command::Diagnosis { fields: read } => with("diagnosis", read),
        Command::Abort => vec!["abort by the ECR".into()],
        Command::LogOff => vec!["log-off".into()],
        other => panic!("no vector has {other:?}"),
    }
}

/// The text in either direction, and the fields.
fn display(fields: &Fields) -> Vec<String> {
    let mut lines = reply(&Apdu::new(control::DISPLAY_TEXT, fields.encode()));
    lines.push(format!("fields {fields:?}"));
    lines
}

fn registration(read: &Registration) -> Vec<String> {
    let mut lines = with("registration, password", &read.fields);
    lines[0] += &format!(", config {:02X}, currency {:?}", read.config_byte, read.currency);
    if let Some(abilities) = read.abilities() {
        let permitted: Vec<String> =
            abilities.permitted_commands.iter().map(|[a, b]| format!("{a:02X}{b:02X}")).collect();
        lines.push(format!(
            "width {:?}, apdu {:?}, charset {:?}, permits [{}]",
            abilities.printer_width,
            abilities.maximum_apdu,
            abilities.charset,
            permitted.join(" ")
        ));
    }
    lines
}

fn reply(apdu: &Apdu) -> Vec<String> {
    match Reply::parse(apdu, CHARSET) {
        Reply::Positive { data } => vec![format!("positive, {data:?}")],
        Reply::Negative { code, data } => vec![format!("negative {code:02X}, {data:?}")],
        Reply::IntermediateStatus(read) => vec![format!(
            "intermediate status {:02X}, timeout {:?}, text {:?}",
            read.code, read.timeout_minutes, read.text
        )],
        Reply::StatusInformation(read) => with("status information", &read),
        Reply::Completion(read) => completion(apdu, &read),
        Reply::Abort(read) => with(&format!("abort {:02X}", read.code), &read.fields),
        Reply::PrintLine(read) => vec![format!("print line, ends {}: {}", read.ends_slip, slip(&read.lines))],
        Reply::PrintBlock(read) => {
            vec![format!("print block for {:?}, ends {}: {}", read.kind, read.ends_slip, slip(&read.lines))]
        }
        Reply::SetClock { date, time } => vec![format!("set clock {date:?} {time:?}")],
        Reply::DisplayText(read) => vec![format!("display text {:?}", read.lines)],
        Reply::Menu(read) => vec![format!("{read:?}")],
        Reply::InputRequest(read) => vec![format!("{read:?}")],
        Reply::BlockedListQuery(read) => with("blocked list query", &read),
        Reply::Other(other) => vec![format!("other {other:?}")],
    }
}

/// Both readings of a completion; which one applies depends on the command.
fn completion(apdu: &Apdu, read: &Completion) -> Vec<String> {
    if apdu.data.is_empty() {
        return vec!["completion, empty".into()];
    }
    let first = read.registration();
    let second = read.status_enquiry();
    vec![
        format!(
            "completion, of a registration: status {:?}, terminal {:?}, currency {:?}, charset {:?}",
            first.status_byte, first.terminal_id, first.currency, first.charset
        ),
        format!(
            "of a status enquiry: version {:?}, status {:02X?}, terminal {:?}, clock {:?}, device {:?}, container {:?}",
            second.software_version,
            second.terminal_status,
            second.terminal_id,
            second.clock,
            second.device,
            second.tlv
        ),
    ]
}

fn slip(lines: &[SlipLine]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{:02X}{:?}", line.attribute.0, line.text)).collect();
    lines.join(" ")
}

/// What the getters say, and after it the tags and lengths of all fields.
fn with(head: &str, fields: &Fields) -> Vec<String> {
    let mut words = vec![head.to_owned()];
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
    add("result", fields.result_code().map(|code| format!("{code:02X}")));
    add("amount", fields.amount_minor().map(|minor| minor.to_string()));
    add("currency", fields.currency().map(|number| number.to_string()));
    add("receipt", fields.receipt_number());
    add("trace", fields.trace_number());
    add("original trace", fields.original_trace_number());
    add("turnover", fields.turnover_number());
    add("terminal", fields.terminal_id());
    add("contract", fields.contract_number());
    add("date", fields.date().map(|MonthDay { month, day }| format!("{month:02}-{day:02}")));
    add("time", fields.time().map(|TimeOfDay { hour, minute, second }| format!("{hour:02}:{minute:02}:{second:02}")));
    add("type", fields.type_byte().map(|value| format!("{value:02X}")));
    add("service", fields.service_byte().map(|value| format!("{value:02X}")));
    add("card", fields.last4());
    add("card type", fields.card_type().map(|value| value.to_string()));
    add("card name", fields.card_name(CHARSET).map(|name| format!("{name:?}")));
    add("scheme", fields.card_scheme(CHARSET).map(|name| format!("{name:?}")));
    add("authorization code", fields.authorization_code());
    add("message", fields.message(CHARSET).map(|text| format!("{text:?}")));
    let mut lines = vec![words.join(", ")];
    lines.extend(optional(fields));
    if !fields.is_empty() {
        lines.push(format!("fields {fields:?}"));
    }
    lines.extend(fields.tlv().map(|tlv| format!("container {tlv:?}")));
    lines
}

/// What only some terminals say.
fn optional(fields: &Fields) -> Option<String> {
    let mut words = Vec::new();
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
    add("timeout", fields.timeout_seconds().map(|seconds| seconds.to_string()));
    add("repeats", fields.maximum_repeats().map(|repeats| repeats.to_string()));
    add("expires", fields.expiry().map(|Expiry { year, month }| format!("{year}-{month:02}")));
    add("card sequence", fields.card_sequence_number());
    add("operator's card type", fields.operator_card_type().map(|id| id.to_string()));
    add("host result", fields.host_result().map(|code| format!("{code:02X}")));
    add("cardholder", fields.cardholder_authentication().map(str::to_owned));
    add("card read by", fields.card_technology().map(str::to_owned));
    add("host", fields.online().map(str::to_owned));
    add("application", fields.application_id().map(|id| id.iter().map(|byte| format!("{byte:02X}")).collect()));
    add("totals", fields.totals().map(|totals| of_totals(&totals)));
    (!words.is_empty()).then(|| words.join(", "))
}

fn of_totals(totals: &Totals) -> String {
    let brands = totals.used().map(|brand| format!("{}x {} {}", brand.count, brand.brand, brand.amount_minor));
    let brands: Vec<String> = brands.collect();
    format!("{:?} to {:?}: {}", totals.first_receipt, totals.last_receipt, brands.join(" "))
}
