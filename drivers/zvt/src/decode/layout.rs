//! Where do the fields of a message begin, and what stands in front of them?

use super::allowed;
use super::form::Form;
use crate::apdu::{Apdu, ControlField, control};
use crate::reply;
use crate::tables::commands::{self, CommandRow, Sender};
use crate::tables::result_codes;

/// A part of the data block that is known by its position.
pub(super) struct Part<'a> {
    pub name: &'static str,
    pub form: Form,
    pub bytes: &'a [u8],
}

/// What follows the positional parts.
pub(super) enum Rest<'a> {
    Fields(&'a [u8]),
    /// A layout that is not known here.
    Opaque(&'a [u8]),
}

impl<'a> Rest<'a> {
    pub fn fields(&self) -> &'a [u8] {
        match self {
            Self::Fields(bytes) => bytes,
            Self::Opaque(_) => &[],
        }
    }

    pub fn opaque(&self) -> Option<&'a [u8]> {
        match self {
            Self::Opaque(bytes) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }
    }
}

/// A positional part: name, form and size in bytes.
type Position = (&'static str, Form, usize);

/// Who sends a message, as far as its control field tells: answers come from either end.
pub(super) fn sender(control: ControlField) -> Option<Sender> {
    commands::lookup(control).map(|row| row.sender).filter(|sender| *sender != Sender::Both)
}

/// What the control field says besides the command.
pub(super) fn remark(control: ControlField) -> Option<String> {
    match control {
        [control::NEGATIVE_CLASS, code] if code != 0 => Some(result_codes::wording(code).english.to_owned()),
        _ => None,
    }
}

/// The positional parts of a message and what follows them.
pub(super) fn split(apdu: &Apdu) -> (Vec<Part<'_>>, Rest<'_>) {
    let data = apdu.data.as_slice();
    match apdu.control() {
        control::COMPLETION => completion(data),
        // A refused currency (84 1E 01 6F). Data of other answers belong to commands that are not known here.
        [control::NEGATIVE_CLASS, 0x1E] => cut(&[("reason", Form::Result, 1), ("currency", Form::Currency, 2)], data),
        [control::NEGATIVE_CLASS, 0x9D] => (Vec::new(), Rest::Fields(data)),
        control => match commands::lookup(control) {
            Some(row) => by_table(row, data),
            None => (Vec::new(), Rest::Opaque(data)),
        },
    }
}

fn by_table<'a>(row: &CommandRow, data: &'a [u8]) -> (Vec<Part<'a>>, Rest<'a>) {
    let positions: Vec<Position> =
        row.positional.iter().map(|part| (part.name, allowed::position(part.name, row.control), part.size)).collect();
    let (mut parts, rest) = cut(&positions, data);
    let left = rest.fields();
    match row.rest {
        commands::Rest::Fields => (parts, Rest::Fields(left)),
        commands::Rest::Text if left.is_empty() => (parts, Rest::Fields(left)),
        commands::Rest::Text => {
            parts.push(Part { name: "text", form: Form::Hidden, bytes: left });
            (parts, Rest::Fields(&[]))
        }
        commands::Rest::Opaque => (parts, Rest::Opaque(left)),
    }
}

fn cut<'a>(positions: &[Position], data: &'a [u8]) -> (Vec<Part<'a>>, Rest<'a>) {
    let mut rest = data;
    let mut parts = Vec::new();
    for &(name, form, size) in positions {
        let size = size.min(rest.len());
        let (bytes, after) = rest.split_at(size);
        if !bytes.is_empty() {
            parts.push(Part { name, form, bytes });
        }
        rest = after;
    }
    (parts, Rest::Fields(rest))
}

/// The completion of a status enquiry has a layout of its own; which command it completes, it does not say.
fn completion(data: &[u8]) -> (Vec<Part<'_>>, Rest<'_>) {
    let read = reply::Completion::new(data);
    if !read.is_of_status_enquiry() {
        return (Vec::new(), Rest::Fields(data));
    }
    let (version, rest) = reply::split_version(data);
    let version = version.map(|bytes| Part { name: "software version", form: Form::Version, bytes });
    let (status, rest) = cut(&[("terminal status", Form::TerminalStatus, 1)], rest);
    (version.into_iter().chain(status).collect(), rest)
}
