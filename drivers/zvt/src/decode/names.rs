//! What are commands, fields and objects called?

use crate::apdu::{ControlField, control};
use crate::bmp::{self, tag};
use crate::tables::{commands, tags};

/// The name of a command or an answer.
pub fn command(control: ControlField) -> &'static str {
    match control {
        control::POSITIVE | [control::NEGATIVE_CLASS, 0] => "positive answer",
        [control::NEGATIVE_CLASS, _] => "negative answer",
        _ => commands::lookup(control).map_or("unknown command", |row| row.name),
    }
}

/// The name of a bitmap field. BMP 19 has another one in each of its roles.
pub(super) fn bmp(tag: u8, control: ControlField) -> &'static str {
    match (tag, control) {
        (tag::TYPE, control::COMPLETION) => "status byte",
        (tag::TYPE, control::STATUS_INFORMATION) => "how it was paid",
        (tag::TYPE, [0x06, 0xC0]) => "card to read",
        (tag::TYPE, _) => "payment type",
        _ => bmp::lookup(tag).map_or("unknown field", |row| row.name),
    }
}

/// The name of an object in a container.
pub(super) fn tlv(tag: u32) -> &'static str {
    tags::lookup(tag).map_or("unknown object", |row| row.name)
}
