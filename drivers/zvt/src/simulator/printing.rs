//! Who prints the slips: the terminal itself, or the ECR, to which they are handed over.

use super::book::Booking;
use super::conversation::{Answer, Conversation};
use super::messages;
use super::options::Slips;
use crate::apdu::Apdu;
use crate::bmp::BmpError;
use crate::registration::config_byte;

/// Hands the slip over, if the registration asks for it. The first answer that is not positive ends it.
pub(super) async fn print(talk: &mut Conversation, booking: &Booking) -> Answer {
    let Some(blocks) = slips(talk, config_byte::PAYMENT_RECEIPTS_BY_ECR) else {
        return Answer::Positive;
    };
    let slip = messages::payment_slip(booking, blocks, &talk.voice(Some(booking.at_unix_ms)));
    tell_slip(talk, slip).await
}

/// The first message of the slip, if the registration asks for one, and nothing more.
pub(super) async fn begin_to_print(talk: &mut Conversation, booking: &Booking) {
    let Some(blocks) = slips(talk, config_byte::PAYMENT_RECEIPTS_BY_ECR) else {
        return;
    };
    let slip = messages::payment_slip(booking, blocks, &talk.voice(Some(booking.at_unix_ms)));
    if let Some(first) = talk.built(slip).and_then(|messages| messages.into_iter().next()) {
        talk.say(&first).await;
    }
}

/// The slip of an end of day or a diagnosis, likewise.
pub(super) async fn print_administration(talk: &mut Conversation, lines: &[String]) -> Answer {
    let Some(blocks) = slips(talk, config_byte::ADMINISTRATION_RECEIPTS_BY_ECR) else {
        return Answer::Positive;
    };
    let slip = messages::administration_slip(lines, blocks, &talk.voice(None));
    tell_slip(talk, slip).await
}

async fn tell_slip(talk: &mut Conversation, slip: Result<Vec<Apdu>, BmpError>) -> Answer {
    for message in talk.built(slip).unwrap_or_default() {
        match talk.tell(&message).await {
            Answer::Positive => {}
            other => return other,
        }
    }
    Answer::Positive
}

/// Whether the ECR wants these slips, and if so whether in blocks.
fn slips(talk: &Conversation, receipts: u8) -> Option<bool> {
    let registered = &talk.terminal.memory().registered;
    // Without a registration the bits are set although nobody is there to print.
    let wanted = registered.somebody && registered.has(receipts | config_byte::PRINT_COMMANDS);
    match talk.terminal.options.slips {
        Slips::None => None,
        Slips::Lines => wanted.then_some(false),
        Slips::Block => wanted.then_some(registered.takes_print_blocks),
    }
}
