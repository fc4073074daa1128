//! What does a frame look like as JSON?

use serde_json::{Map, Value, json};
use tillswitch_zvt::apdu::Apdu;
use tillswitch_zvt::decode::{Disclosure, Explanation, Frame, Item, Piece, Place, explain};
use tillswitch_zvt::tables::commands::Sender;

/// One line per message.
pub(super) fn frame(frame: &Frame, disclosure: Disclosure) -> String {
    frame.pieces.iter().map(|piece| format!("{}\n", self::piece(piece, frame.sender, disclosure))).collect()
}

fn piece(piece: &Piece, sender: Option<Sender>, disclosure: Disclosure) -> Value {
    match piece {
        Piece::Message(apdu) | Piece::Framed(apdu) => message(apdu, sender, disclosure),
        Piece::Ack => json!({ "acknowledgement": "ACK" }),
        Piece::Nak => json!({ "acknowledgement": "NAK" }),
        Piece::Wrong { fault, read: None } => json!({ "error": fault }),
        Piece::Wrong { fault, read: Some(apdu) } => {
            let mut told = message(apdu, sender, disclosure);
            told["error"] = Value::from(fault.as_str());
            told
        }
    }
}

fn message(apdu: &Apdu, sender: Option<Sender>, disclosure: Disclosure) -> Value {
    let told = explain(apdu, disclosure);
    let mut object = Map::new();
    object.insert("control".into(), told.control.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into());
    object.insert("name".into(), told.name.into());
    if let Some(remark) = &told.remark {
        object.insert("remark".into(), remark.as_str().into());
    }
    if let Some(sender) = sender.or(told.sender) {
        object.insert("sender".into(), if sender == Sender::Pt { "PT" } else { "ECR" }.into());
    }
    object.insert("positional".into(), flat(&told, |item| item.place == Place::Position));
    object.insert("bmp".into(), flat(&told, |item| matches!(item.place, Place::Bmp(_))));
    let mut tlv = Vec::new();
    told.items.iter().for_each(|item| objects(item, "", &mut tlv));
    object.insert("tlv".into(), tlv.into());
    if let Some(rest) = told.items.iter().find(|item| item.place == Place::Undecoded) {
        object.insert("undecoded".into(), entry(rest));
    }
    Value::Object(object)
}

fn flat(told: &Explanation, wanted: impl Fn(&Item) -> bool) -> Value {
    told.items.iter().filter(|item| wanted(item)).map(entry).collect()
}

/// The plain objects of a container with their path; one that is empty or cannot be read has an entry as well.
fn objects(item: &Item, path: &str, found: &mut Vec<Value>) {
    for inner in &item.items {
        let step = if inner.place == Place::Undecoded { "?".to_owned() } else { inner.place.tag() };
        let path = if path.is_empty() { step } else { format!("{path}/{step}") };
        if inner.items.is_empty() {
            let mut entry = entry(inner);
            entry["path"] = Value::from(path);
            if let Some(object) = entry.as_object_mut() {
                object.remove("tag");
            }
            found.push(entry);
        } else {
            objects(inner, &path, found);
        }
    }
}

fn entry(item: &Item) -> Value {
    let mut object = Map::new();
    if matches!(item.place, Place::Bmp(_) | Place::Tlv(_)) {
        object.insert("tag".into(), item.place.tag().into());
    }
    object.insert("name".into(), item.name.into());
    object.insert("raw".into(), item.raw.as_str().into());
    if item.masked {
        object.insert("masked".into(), true.into());
    }
    if let Some(value) = item.value.as_deref().filter(|value| !value.is_empty()) {
        object.insert("value".into(), value.into());
    }
    if !item.details.is_empty() {
        object.insert("details".into(), item.details.iter().map(|detail| Value::from(detail.text.as_str())).collect());
    }
    Value::Object(object)
}
