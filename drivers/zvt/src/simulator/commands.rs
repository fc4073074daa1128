//! Which command gets which treatment.

use std::time::Duration;

use tillswitch_core::{Currency, Money, Operation};

use super::conversation::Conversation;
use super::messages;
use super::payment::{self, Order};
use super::printing;
use super::terminal::Registered;
use crate::apdu::Apdu;
use crate::bmp::{BmpError, tag};
use crate::command::{Command, Password, negative, positive, service_byte, unknown_command};
use crate::fields::Fields;
use crate::registration::Registration;
use crate::tables::terminal_status;

/// What a link begins with when it is greeted by a banner.
const BANNER: &[u8] = b"VER|APP 1.0\r\n";
/// How often an ECR may answer 84 9C (BMP 02).
const MAXIMUM_REPEATS: u8 = 0x02;
/// The command's layout is wrong.
const NOT_UNDERSTOOD: u8 = 0x9A;
/// The receiver is busy.
const BUSY: u8 = 0xA0;
/// The password is wrong.
const WRONG_PASSWORD: u8 = 0x37;
/// The currency is not accepted.
const WRONG_CURRENCY: u8 = 0x6F;
/// The currency cannot be used here: the answer to a payment.
const CURRENCY_NOT_USABLE: u8 = 0xC6;
/// The amount is missing or nought.
const WRONG_AMOUNT: u8 = 0x66;
/// Was reversed before.
const ALREADY_REVERSED: u8 = 0xB4;
/// Cannot be reversed.
const NOT_REVERSIBLE: u8 = 0xB5;

/// Serves one ECR until its link ends.
pub(super) async fn serve(mut talk: Conversation) {
    if talk.terminal.memory().greets_with_banner {
        talk.say_bytes(BANNER).await;
    }
    payment::deliver_late(&mut talk).await;
    while let Some(apdu) = talk.next_command().await {
        payment::deliver_late(&mut talk).await;
        match Command::parse(&apdu) {
            Ok(command) => handle(&mut talk, command).await,
            Err(_) => talk.say(&negative(NOT_UNDERSTOOD)).await,
        }
    }
}

async fn handle(talk: &mut Conversation, command: Command) {
    if is_busy(talk) && !matches!(command, Command::StatusEnquiry { .. } | Command::Registration(_)) {
        return talk.say(&negative(BUSY)).await;
    }
    if command.password().is_some_and(|password| is_wrong(talk, password)) {
        return talk.say(&negative(WRONG_PASSWORD)).await;
    }
    match command {
        Command::Registration(registration) => register(talk, &registration).await,
        Command::Authorization { fields } => pay(talk, Operation::Sale, &fields).await,
        Command::Refund { fields, .. } => pay(talk, Operation::Refund, &fields).await,
        Command::Reversal { fields, .. } => reverse(talk, &fields).await,
        Command::RepeatReceipt { fields, .. } => {
            let service = fields.service_byte().unwrap_or(0);
            repeat(talk, service & 0x01 != 0, service & 0x02 == 0).await;
        }
        Command::EndOfDay { .. } => end_of_day(talk).await,
        Command::StatusEnquiry { fields, .. } => status(talk, &fields).await,
        Command::Diagnosis { .. } => diagnosis(talk).await,
        Command::Initialisation { .. } => complete(talk).await,
        Command::Abort => talk.say(&positive()).await,
        Command::LogOff => {
            talk.terminal.memory().registered = Registered::nobody();
            talk.say(&positive()).await;
        }
        // What a counter does not need, this terminal cannot do.
        _ => talk.say(&unknown_command()).await,
    }
}

fn is_wrong(talk: &Conversation, password: Password) -> bool {
    talk.terminal.options.check_password && password != talk.terminal.password
}

fn is_busy(talk: &Conversation) -> bool {
    talk.terminal.memory().busy
}

async fn register(talk: &mut Conversation, registration: &Registration) {
    if std::mem::take(&mut talk.terminal.memory().cuts_registration) {
        return talk.cut();
    }
    let currency = talk.terminal.options.currency.numeric();
    if registration.currency.is_some_and(|asked| asked != currency) {
        let allowed = Fields::new().with_currency(currency).map(|fields| fields.encode()).unwrap_or_default();
        // Here the currency stands without its tag.
        let data = [&[WRONG_CURRENCY], allowed.get(1..).unwrap_or_default()].concat();
        return talk.say(&Apdu::new([0x84, 0x1E], data)).await;
    }
    talk.terminal.memory().registered = Registered::from(registration);
    talk.say(&positive()).await;
    let completion = messages::registration_completion(talk.terminal.options.status_byte, currency, &talk.voice(None));
    tell(talk, completion).await;
}

async fn pay(talk: &mut Conversation, operation: Operation, fields: &Fields) {
    let own = talk.terminal.options.currency;
    let currency = fields.currency().map_or(Some(own), Currency::from_numeric);
    let refusal = match fields.amount_minor() {
        _ if currency != Some(own) => Some(CURRENCY_NOT_USABLE),
        None | Some(0) => Some(WRONG_AMOUNT),
        Some(_) => None,
    };
    match refusal {
        Some(code) => start_and_abort(talk, code).await,
        None => {
            let amount = Money::from_minor(fields.amount_minor().unwrap_or_default(), own);
            payment::run(talk, order(operation, amount, fields)).await;
        }
    }
}

async fn reverse(talk: &mut Conversation, fields: &Fields) {
    let receipt = fields.receipt_number().unwrap_or_default();
    let found = talk.terminal.memory().book.find_today(&receipt).cloned();
    let matches = |amount: Money| fields.amount_minor().is_none_or(|asked| asked == amount.minor());
    match found {
        Some(booking) if booking.taken_back => start_and_abort(talk, ALREADY_REVERSED).await,
        Some(booking) if matches(booking.amount) => {
            let order = order(Operation::Reversal, booking.amount, fields);
            payment::run(talk, Order { undone: Some(booking), ..order }).await;
        }
        Some(_) | None => start_and_abort(talk, NOT_REVERSIBLE).await,
    }
}

fn order(operation: Operation, amount: Money, fields: &Fields) -> Order {
    let byte = |tag| fields.get(tag).and_then(|value| value.first().copied());
    Order {
        operation,
        amount,
        undone: None,
        answer_within: byte(tag::TIMEOUT).map(|seconds| Duration::from_secs(seconds.into())),
        repeats: byte(MAXIMUM_REPEATS),
    }
}

async fn status(talk: &mut Conversation, fields: &Fields) {
    let service = fields.service_byte().unwrap_or(0);
    let status = if is_busy(talk) { terminal_status::BUSY } else { terminal_status::READY };
    let with_version = service & service_byte::NO_SOFTWARE_VERSION == 0;
    let with_details = service & service_byte::TLV_DETAILS != 0;
    talk.say(&positive()).await;
    let completion = messages::status_completion(status, with_version, with_details, &talk.voice(None));
    talk.tell(&completion).await;
}

/// Answers 06 20 with the last transaction: its result, its slip, or both.
async fn repeat(talk: &mut Conversation, with_result: bool, with_slip: bool) {
    let (last, nothing_useful) = {
        let memory = talk.terminal.memory();
        (memory.book.last().cloned(), memory.repeats_nothing)
    };
    talk.say(&positive()).await;
    match last {
        _ if nothing_useful => payment::end(talk, None).await,
        None => payment::end(talk, Some(payment::NOT_POSSIBLE)).await,
        Some(booking) => {
            if let Some(result) = payment::result_of(talk, &booking).filter(|_| with_result) {
                talk.tell(&result).await;
            }
            if with_slip {
                printing::print(talk, &booking).await;
            }
            payment::end(talk, None).await;
        }
    }
}

async fn end_of_day(talk: &mut Conversation) {
    let (bookings, trace) = {
        let mut memory = talk.terminal.memory();
        let bookings: Vec<_> = memory.book.standing_today().cloned().collect();
        (bookings, memory.book.next_trace())
    };
    talk.say(&positive()).await;
    talk.pause(talk.terminal.options.timing.host).await;
    let totals = messages::day(&bookings, &talk.voice(None));
    let message = messages::totals(&totals, &trace, &talk.voice(None));
    tell(talk, message).await;
    talk.terminal.memory().book.close_day();
    let lines = messages::day_lines(&totals, talk.terminal.options.currency);
    printing::print_administration(talk, &lines).await;
    talk.tell(&messages::completion()).await;
}

async fn diagnosis(talk: &mut Conversation) {
    talk.say(&positive()).await;
    let clock = messages::set_clock(&talk.voice(None));
    tell(talk, clock).await;
    printing::print_administration(talk, &["Diagnose".to_owned()]).await;
    talk.tell(&messages::completion()).await;
}

async fn complete(talk: &mut Conversation) {
    talk.say(&positive()).await;
    talk.pause(talk.terminal.options.timing.host).await;
    talk.tell(&messages::completion()).await;
}

async fn start_and_abort(talk: &mut Conversation, code: u8) {
    talk.say(&positive()).await;
    talk.tell(&messages::abort(code)).await;
}

async fn tell(talk: &mut Conversation, message: Result<Apdu, BmpError>) {
    if let Some(message) = talk.built(message) {
        talk.tell(&message).await;
    }
}
