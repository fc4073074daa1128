//! What does a message say, field by field?
//!
//! [`explain`] turns a message into a tree of items: where each stands, what it is called, its bytes and what they mean
//! in plain words. It does no I/O and never fails: what cannot be read is an item too, with the reason.
//!
//! # Masking
//!
//! With [`Disclosure::Masked`] an item shows its bytes and its meaning only when its field is on the allow-list
//! (`allowed`) **and** its value has the form that the list asks for. Everything else is stars when it leaves this
//! module: passwords, card numbers, tracks, tokens and slips are not hidden afterwards, they never enter the tree.

mod allowed;
mod form;
mod frames;
mod layout;
mod names;
mod text;

use crate::apdu::{Apdu, ControlField};
use crate::bmp::{self, Field};
use crate::charset::Charset;
use crate::fields::Fields;
use crate::tables::commands::Sender;
use crate::tlv::{self, Content, Object, Tlv};

pub use form::Detail;
pub use frames::{Frame, Piece, ReadError, read};
pub use names::command as command_name;
pub(crate) use text::has_check_digit;

use form::{Context, Form};

/// Whether what nobody should read is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// Only what is on the allow-list.
    Masked,
    /// Everything: for the eyes of whoever may see card data.
    Unmasked,
}

/// A message, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its control field.
    pub control: ControlField,
    /// The name of the command or answer.
    pub name: &'static str,
    /// What else the control field says: the reason of a negative answer.
    pub remark: Option<String>,
    /// Who sends it, where the control field alone tells.
    pub sender: Option<Sender>,
    /// How many bytes of data it has.
    pub length: usize,
    /// What the data block holds, in its order.
    pub items: Vec<Item>,
}

/// One field, or a part of the block that has no tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: &'static str,
    /// How many bytes its value has.
    pub length: usize,
    /// The value in lower-case hexadecimal, with a star for each nibble that is masked.
    pub raw: String,
    /// Whether bytes or meaning are masked, wholly or in part.
    pub masked: bool,
    /// What the value means, in plain words.
    pub value: Option<String>,
    /// More about it: bits, one by one, or why something could not be read.
    pub details: Vec<Detail>,
    /// What a container holds.
    pub items: Vec<Item>,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In front of the fields, known by its position.
    Position,
    /// A bitmap field.
    Bmp(u8),
    /// An object in a container.
    Tlv(u32),
    /// The rest that cannot be read.
    Undecoded,
}

impl Place {
    /// The tag in hexadecimal, empty where there is none.
    pub fn tag(self) -> String {
        match self {
            Self::Bmp(tag) => format!("{tag:02X}"),
            Self::Tlv(tag) => format!("{tag:02X}"),
            Self::Position | Self::Undecoded => String::new(),
        }
    }
}

/// Explains a message.
///
/// ```
/// use tillswitch_zvt::apdu::Apdu;
/// use tillswitch_zvt::decode::{Disclosure, explain};
///
/// let refund = Apdu::decode(&[0x06, 0x31, 0x0A, 0x12, 0x34, 0x56, 0x04, 0, 0, 0, 0, 0x12, 0x50])?;
/// let told = explain(&refund, Disclosure::Masked);
/// assert_eq!((told.name, told.items[0].name, told.items[0].raw.as_str()), ("refund", "password", "******"));
/// assert_eq!(told.items[1].value.as_deref(), Some("12.50"));
/// # Ok::<(), tillswitch_zvt::apdu::ApduError>(())
/// ```
pub fn explain(apdu: &Apdu, disclosure: Disclosure) -> Explanation {
    let (parts, rest) = layout::split(apdu);
    let fields = Fields::parse(rest.fields());
    let reader = Reader { disclosure, context: context(apdu.control(), &fields) };
    let mut items: Vec<Item> = parts.iter().map(|part| reader.part(part)).collect();
    items.extend(rest.opaque().map(|bytes| reader.leaf(Place::Position, "data", bytes, Form::Hidden)));
    items.extend(reader.fields(&fields));
    Explanation {
        control: apdu.control(),
        name: names::command(apdu.control()),
        remark: layout::remark(apdu.control()),
        sender: layout::sender(apdu.control()),
        length: apdu.data.len(),
        items,
    }
}

/// The block's own character set and currency are needed to read its texts and amounts, wherever they stand in it.
fn context(control: ControlField, fields: &Fields) -> Context {
    let own = fields.tlv().and_then(|tlv| crate::registration::chosen_charset(&tlv));
    Context { control, parent: None, charset: own.unwrap_or(Charset::Cp437), currency: fields.currency() }
}

struct Reader {
    disclosure: Disclosure,
    context: Context,
}

impl Reader {
    fn part(&self, part: &layout::Part<'_>) -> Item {
        self.leaf(Place::Position, part.name, part.bytes, part.form)
    }

    fn fields(&self, fields: &Fields) -> Vec<Item> {
        // When a block cannot be read to its end, its fields may not be where they seem to be, and what looks like an
        // amount may be part of a card number.
        let is_sound = fields.undecoded().is_empty();
        let mut items: Vec<Item> = fields.all().iter().map(|field| self.field(field, is_sound)).collect();
        items.extend(self.undecoded(fields.undecoded(), || why_no_field(fields.undecoded())));
        items
    }

    fn field(&self, field: &Field, is_sound: bool) -> Item {
        let place = Place::Bmp(field.tag);
        let name = names::bmp(field.tag, self.context.control);
        if field.tag == bmp::tag::TLV {
            return self.container(place, name, &Tlv::parse(&field.value), is_sound);
        }
        let form = allowed::bmp(field.tag, self.context.control);
        self.leaf(place, name, &field.value, if_sound(form, &field.value, is_sound))
    }

    fn container(&self, place: Place, name: &'static str, tlv: &Tlv, is_sound: bool) -> Item {
        let is_sound = is_sound && tlv.undecoded().is_empty();
        let parent = match place {
            Place::Tlv(tag) => Some(tag),
            _ => None,
        };
        let reader = Reader { context: Context { parent, ..self.context }, disclosure: self.disclosure };
        let mut items: Vec<Item> = tlv.objects().iter().map(|object| reader.object(object, is_sound)).collect();
        items.extend(reader.undecoded(tlv.undecoded(), || "no object of a container".to_owned()));
        let raw = items.iter().map(with_tag_and_length).collect();
        let masked = items.iter().any(|item| item.masked);
        Item { place, name, length: tlv.encode().len(), raw, masked, value: None, details: Vec::new(), items }
    }

    fn object(&self, object: &Object, is_sound: bool) -> Item {
        let place = Place::Tlv(object.tag);
        let name = names::tlv(object.tag);
        match &object.content {
            Content::Objects(tlv) => self.container(place, name, tlv, is_sound),
            Content::Bytes(bytes) => {
                let form = allowed::tlv(object.tag, self.context.parent);
                self.leaf(place, name, bytes, if_sound(form, bytes, is_sound))
            }
        }
    }

    fn undecoded(&self, bytes: &[u8], why: impl FnOnce() -> String) -> Option<Item> {
        let mut item = self.leaf(Place::Undecoded, "cannot be read", bytes, Form::Hidden);
        item.details.push(Detail::new(why()));
        (!bytes.is_empty()).then_some(item)
    }

    fn leaf(&self, place: Place, name: &'static str, bytes: &[u8], form: Form) -> Item {
        let shown = match self.disclosure {
            Disclosure::Masked => form::masked(form, bytes, &self.context),
            Disclosure::Unmasked => form::unmasked(form, place, bytes, &self.context),
        };
        let form::Shown { raw, value, details, masked } = shown;
        Item { place, name, length: bytes.len(), raw, masked, value, details, items: Vec::new() }
    }
}

fn if_sound(form: Form, bytes: &[u8], is_sound: bool) -> Form {
    if is_sound || bytes.len() <= 1 { form } else { Form::Hidden }
}

/// How an object of a container stands on the wire, with its length in the shortest form.
fn with_tag_and_length(item: &Item) -> String {
    match item.place {
        Place::Tlv(_) => {
            format!("{}{}{}", item.place.tag().to_lowercase(), form::hex(&tlv::encode_length(item.length)), item.raw)
        }
        _ => item.raw.clone(),
    }
}

fn why_no_field(rest: &[u8]) -> String {
    let Some(&tag) = rest.first() else { return String::new() };
    match bmp::lookup(tag) {
        None => format!("there is no bitmap field {tag:02X}, so its length is not known"),
        Some(row) => match row.length {
            bmp::Length::Fixed(size) => {
                format!("{} ({tag:02X}) has {size} bytes, {} follow", row.name, rest.len() - 1)
            }
            _ => format!("the length of {} ({tag:02X}) reaches beyond the end", row.name),
        },
    }
}
