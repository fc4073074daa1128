//! How a payment, a refund or a reversal goes, as its step of the script says.

use std::time::Duration;

use tillswitch_core::{Money, Operation};

use super::book::Booking;
use super::conversation::{Answer, Conversation, Heard};
use super::line::Pace;
use super::messages;
use super::printing::{begin_to_print, print};
use super::step::Step;
use crate::apdu::Apdu;
use crate::command::{negative, positive};

/// The receiver is busy.
const BUSY: u8 = 0xA0;
/// The function is not possible.
pub(super) const NOT_POSSIBLE: u8 = 0x83;
/// Stopped by a timeout or the stop key.
const STOPPED: u8 = 0x6C;
/// Refused by the host.
const REFUSED: u8 = 0x05;
/// The host says that the PIN was wrong.
const WRONG_PIN: u8 = 0x37;
/// The terminal is out of use.
const OUT_OF_USE: u8 = 0xDF;
/// A fault of the system: the ledger cannot be written.
const SYSTEM_FAULT: u8 = 0xFF;
/// Cannot be printed now.
const PRINTER_TROUBLE: u8 = 0xCC;
/// The answer that asks for the message again.
const ASK_AGAIN: u8 = 0x9C;
/// How many 04 FF a slow payment has.
const SLOW_MESSAGES: usize = 12;
/// How often 04 0F is repeated at most when the ECR does not say how often.
const REPEATS: u8 = 100;

/// What the ECR ordered.
pub(super) struct Order {
    pub operation: Operation,
    pub amount: Money,
    /// What a reversal takes back.
    pub undone: Option<Booking>,
    /// How long the answer to 04 0F may take (BMP 01).
    pub answer_within: Option<Duration>,
    /// How often it may be 84 9C (BMP 02).
    pub repeats: Option<u8>,
}

/// What the ECR made of the result.
enum Verdict {
    Accepted,
    /// Goods not issued, wholly or in part: this terminal cannot book the rest.
    Refused,
    /// 84 9C once more than BMP 02 allows.
    AskedTooOften,
    /// Nothing came in time.
    Unacknowledged,
    LinkLost,
}

/// Runs the order to its end, whether the link holds or not.
pub(super) async fn run(talk: &mut Conversation, order: Order) {
    let step = {
        let mut memory = talk.terminal.memory();
        memory.busy = true;
        memory.next_step()
    };
    begin(talk, &order, step).await;
    talk.pace = Pace::Whole;
    let mut memory = talk.terminal.memory();
    memory.busy = false;
    memory.throw_switches();
}

async fn begin(talk: &mut Conversation, order: &Order, step: Step) {
    match step {
        Step::Busy => talk.say(&negative(BUSY)).await,
        Step::BusyAskAgain => talk.say(&negative(ASK_AGAIN)).await,
        Step::Refuse => talk.say(&negative(NOT_POSSIBLE)).await,
        Step::CutAfterCommand => talk.cut(),
        Step::Silent => talk.hang().await,
        Step::Garbage => garbage(talk).await,
        Step::Coalesced => coalesced(talk, order).await,
        _ => started(talk, order, step).await,
    }
}

async fn started(talk: &mut Conversation, order: &Order, step: Step) {
    if matches!(step, Step::Slow) {
        talk.pace = Pace::Bytewise(talk.terminal.options.timing.trickle);
    }
    talk.say(&positive()).await;
    match step {
        Step::SilentAfterStart => talk.hang().await,
        Step::OnlyAbort => end_with_abort(talk, OUT_OF_USE).await,
        Step::WaitForAbort | Step::WaitForAbortBytewise => wait_for_abort(talk, step).await,
        Step::CutAfterStart => {
            talk.cut();
            with_card(talk, order, step).await;
        }
        Step::CutAfterStatus => {
            if let Some(status) = intermediate_status(talk, 0x0A, "Karte vorhalten") {
                talk.say(&status).await;
            }
            talk.cut();
            with_card(talk, order, step).await;
        }
        Step::Slow => {
            for _ in 0..SLOW_MESSAGES {
                tell_status(talk, 0x0E, "").await;
            }
            with_card(talk, order, step).await;
        }
        _ => with_card(talk, order, step).await,
    }
}

/// Waits for the card, which an abort can stop; from then on nothing can.
async fn with_card(talk: &mut Conversation, order: &Order, step: Step) {
    let timing = talk.terminal.options.timing;
    let mut heard = tell_status(talk, 0x0A, "Karte vorhalten\neinstecken/durchziehen").await;
    if heard == Heard::Nothing {
        heard = talk.wait_for_abort(timing.card).await;
    }
    if heard == Heard::Abort {
        return stopped_by_ecr(talk).await;
    }
    if tell_status(talk, 0x0E, "").await == Heard::Abort {
        talk.say(&negative(NOT_POSSIBLE)).await;
    }
    talk.pause(timing.host).await;
    match step {
        Step::CustomerCancel => fail(talk, STOPPED, "Abbruch durch Kunde").await,
        Step::Decline => fail(talk, REFUSED, "Abgelehnt").await,
        Step::ErrorWithoutCompletion => {
            tell_failure(talk, REFUSED, "Abgelehnt").await;
        }
        Step::PinRetry => {
            tell_failure(talk, WRONG_PIN, "PIN falsch").await;
            talk.pause(timing.pin_entry).await;
            tell_status(talk, 0x0E, "").await;
            approve(talk, order, step).await;
        }
        _ => approve(talk, order, step).await,
    }
}

async fn wait_for_abort(talk: &mut Conversation, step: Step) {
    let timing = talk.terminal.options.timing;
    let until = tokio::time::Instant::now() + timing.patience;
    if step == Step::WaitForAbortBytewise {
        talk.pace = Pace::Bytewise(timing.trickle);
    }
    while talk.is_linked() && tokio::time::Instant::now() < until {
        let mut heard = tell_status(talk, 0x0A, "Karte vorhalten").await;
        if heard == Heard::Nothing {
            heard = talk.wait_for_abort(timing.trickle * 20).await;
        }
        if heard == Heard::Abort {
            return stopped_by_ecr(talk).await;
        }
    }
    fail(talk, STOPPED, "Abbruch durch Zeitablauf").await;
}

async fn stopped_by_ecr(talk: &mut Conversation) {
    talk.say(&positive()).await;
    fail(talk, STOPPED, "Abbruch").await;
}

async fn approve(talk: &mut Conversation, order: &Order, step: Step) {
    let Some(booking) = book(talk, order, step).await else {
        return;
    };
    let Some(result) = result_of(talk, &booking) else {
        return;
    };
    match step {
        Step::CutBeforeResult => {
            talk.cut();
            unacknowledged(talk, &booking);
        }
        Step::CutAfterResult => {
            talk.say(&result).await;
            talk.cut();
            unacknowledged(talk, &booking);
        }
        Step::LateResult => talk.terminal.memory().late = Some(booking),
        _ => {
            talk.say(&result).await;
            report(talk, order, step, &booking, &result).await;
        }
    }
}

/// Books what the step says of the amount. On disk when this returns; a ledger that cannot be written ends the payment.
async fn book(talk: &mut Conversation, order: &Order, step: Step) -> Option<Booking> {
    let options = &talk.terminal.options;
    let percent = match step {
        _ if order.undone.is_some() => 100,
        Step::ApproveLess => options.partial_percent,
        Step::ApproveMore => 100 + options.tip_percent,
        _ => 100,
    };
    let minor = order.amount.minor() * percent / 100;
    let amount = Money::from_minor(minor, order.amount.currency());
    match talk.terminal.book(order.operation, amount, order.undone.as_ref()) {
        Ok(booking) => Some(booking),
        Err(error) => {
            talk.fault(format!("the ledger cannot be written: {error}"));
            fail(talk, SYSTEM_FAULT, "Systemfehler").await;
            None
        }
    }
}

/// Carries on when 04 0F has left.
async fn report(talk: &mut Conversation, order: &Order, step: Step, booking: &Booking, result: &Apdu) {
    match verdict(talk, order, result).await {
        Verdict::Accepted => accepted(talk, step, booking, result).await,
        Verdict::Refused => {
            talk.terminal.take_back(booking);
            end_with_abort(talk, REFUSED).await;
        }
        Verdict::AskedTooOften => {
            talk.terminal.take_back(booking);
            talk.tell(&messages::bare_result(STOPPED)).await;
            end_with_abort(talk, STOPPED).await;
        }
        Verdict::Unacknowledged => {
            let code = if unacknowledged(talk, booking) { Some(STOPPED) } else { None };
            end(talk, code).await;
        }
        Verdict::LinkLost => {
            unacknowledged(talk, booking);
        }
    }
}

async fn accepted(talk: &mut Conversation, step: Step, booking: &Booking, result: &Apdu) {
    match step {
        Step::CutAfterAck => return talk.cut(),
        Step::CutAtSlip => {
            begin_to_print(talk, booking).await;
            return talk.cut();
        }
        Step::CutAfterCompletion => {
            print(talk, booking).await;
            talk.say(&messages::completion()).await;
            return talk.cut();
        }
        Step::NoCompletion => return talk.hang().await,
        Step::ApproveThenReverse => {
            talk.terminal.take_back(booking);
            return end_with_abort(talk, STOPPED).await;
        }
        Step::DuplicateResult => {
            talk.tell(result).await;
        }
        _ => {}
    }
    if print(talk, booking).await == Answer::Negative(PRINTER_TROUBLE) {
        talk.terminal.take_back(booking);
        return end_with_abort(talk, PRINTER_TROUBLE).await;
    }
    end(talk, None).await;
    if step == Step::CutIdle {
        talk.cut();
    }
}

/// The ECR decides about the payment with its answer to 04 0F.
async fn verdict(talk: &mut Conversation, order: &Order, result: &Apdu) -> Verdict {
    let timing = talk.terminal.options.timing;
    let within = order.answer_within.map_or(timing.issue_of_goods, |asked| asked.min(timing.issue_of_goods));
    let mut repeats_left = order.repeats.unwrap_or(REPEATS).min(REPEATS);
    loop {
        match talk.answer_to(result, within).await {
            Answer::Positive => return Verdict::Accepted,
            Answer::Negative(ASK_AGAIN) if repeats_left == 0 => return Verdict::AskedTooOften,
            Answer::Negative(ASK_AGAIN) => {
                repeats_left -= 1;
                talk.pause(timing.ask_again).await;
                talk.say(result).await;
            }
            Answer::Negative(_) => return Verdict::Refused,
            Answer::Silence => return Verdict::Unacknowledged,
            Answer::Broken => return Verdict::LinkLost,
        }
    }
}

/// Nobody has acknowledged the booking. Whether it was taken back.
fn unacknowledged(talk: &Conversation, booking: &Booking) -> bool {
    let takes_back = talk.terminal.options.auto_reverse;
    if takes_back {
        talk.terminal.take_back(booking);
    }
    takes_back
}

/// Sends what `late-result` kept back. The ECR's answer decides as always, but nothing closes this conversation.
pub(super) async fn deliver_late(talk: &mut Conversation) {
    let Some(booking) = talk.terminal.memory().late.take() else {
        return;
    };
    let Some(result) = result_of(talk, &booking) else {
        return;
    };
    talk.say(&result).await;
    match talk.answer_to(&result, talk.terminal.options.timing.issue_of_goods).await {
        Answer::Positive => {}
        Answer::Negative(_) => talk.terminal.take_back(&booking),
        Answer::Silence | Answer::Broken => {
            unacknowledged(talk, &booking);
        }
    }
}

/// Several messages in one segment: the start, the progress and the result.
async fn coalesced(talk: &mut Conversation, order: &Order) {
    let Some(booking) = book(talk, order, Step::Coalesced).await else {
        return;
    };
    let Some(result) = result_of(talk, &booking) else {
        return;
    };
    let status = intermediate_status(talk, 0x0E, "");
    let all: Vec<Apdu> = [Some(positive()), status.clone(), Some(result.clone())].into_iter().flatten().collect();
    talk.say_all(&all).await;
    if let Some(status) = status {
        talk.answer_to(&status, talk.terminal.options.timing.answer).await;
    }
    report(talk, order, Step::Coalesced, &booking, &result).await;
}

/// Bytes that no message begins with, and then silence.
async fn garbage(talk: &mut Conversation) {
    let drawn = (0..32).map(|place| messages::draw(talk.terminal.options.seed, place) as u8);
    let bytes: Vec<u8> = [0x15, 0x03, 0x08].into_iter().chain(drawn).collect();
    talk.say_bytes(&bytes).await;
    talk.hang().await;
}

async fn fail(talk: &mut Conversation, code: u8, text: &str) {
    tell_failure(talk, code, text).await;
    end_with_abort(talk, code).await;
}

async fn tell_failure(talk: &mut Conversation, code: u8, text: &str) {
    let trace = talk.terminal.memory().book.next_trace();
    if let Some(result) = talk.built(messages::failed(code, text, &trace, &talk.voice(None))) {
        talk.tell(&result).await;
    }
}

async fn end_with_abort(talk: &mut Conversation, code: u8) {
    end(talk, Some(code)).await;
}

/// 06 0F, or 06 1E with a code.
pub(super) async fn end(talk: &mut Conversation, code: Option<u8>) {
    let last = code.map_or_else(messages::completion, messages::abort);
    talk.tell(&last).await;
}

async fn tell_status(talk: &mut Conversation, code: u8, text: &str) -> Heard {
    match intermediate_status(talk, code, text) {
        Some(status) => talk.tell_unless_aborted(&status).await,
        None => Heard::Nothing,
    }
}

fn intermediate_status(talk: &Conversation, code: u8, text: &str) -> Option<Apdu> {
    let voice = talk.voice(None);
    voice.registered.wants_intermediate_status().then(|| messages::intermediate_status(code, text, &voice))
}

/// 04 0F of a booking.
pub(super) fn result_of(talk: &Conversation, booking: &Booking) -> Option<Apdu> {
    talk.built(messages::approved(booking, &talk.voice(Some(booking.at_unix_ms))))
}
