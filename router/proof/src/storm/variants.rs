//! In which ten ways can one and the same event be said?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tillswitch::answer::rfc3339;
use tillswitch::intake::signature::sign;
use tillswitch_core::Secret;

use crate::sender::Wired;

/// The keys that the router knows; while keys are rotated there are two.
pub const KEYS: [&str; 2] = ["the key of this year, 32 letters", "the key of last year, 32 letters"];
/// How many ways there are.
pub const VARIANTS: usize = 10;

/// An event of the point of sale.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its project.
    pub project: String,
    /// The sender's identity of it.
    pub guid: String,
    /// What is paid.
    pub document: String,
    /// In minor units.
    pub minor: u64,
    /// When it was made, to the second.
    pub made: u64,
}

impl Event {
    /// An event that is made now.
    pub fn new(project: &str, document: &str, minor: u64) -> Event {
        let guid = format!("guid of {document}");
        Event { project: project.to_owned(), guid, document: document.to_owned(), minor, made: now() }
    }

    /// It, said in the nth way.
    pub fn said(&self, variant: usize) -> Wired {
        let mut fields = self.fields();
        let mut set = |name: &str, value: String| {
            let field = fields.iter_mut().find(|field| field.0 == name).expect("every event has all fields");
            field.1 = value;
        };
        match variant % VARIANTS {
            1 => return signed(&spaced(&fields), 0, now()),
            2 => fields.reverse(),
            3 => return shouted(signed(&object(&fields), 0, now())),
            4 => return signed(&object(&fields), 1, now() - 1),
            5 => set("createdAt", text(&self.made_elsewhere())),
            6 => return signed(&enveloped(&fields), 0, now()),
            7 => fields.retain(|field| field.0 != "guid"),
            8 => set("amount", format!("\" {}.{:02}0 \"", self.minor / 100, self.minor % 100)),
            9 => {
                set("operation", "\"SELL\"".to_owned());
                set("documentType", "\"\\u0069nvoice\"".to_owned());
                fields.push(("further", "[1, {\"guid\": null}]".to_owned()));
            }
            _ => {}
        }
        signed(&object(&fields), 0, now())
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("guid", text(&self.guid)),
            ("operation", text("sale")),
            ("project", format!("{{\"id\":{}}}", text(&self.project))),
            ("currency", text("EUR")),
            ("amount", format!("{}.{:02}", self.minor / 100, self.minor % 100)),
            ("documentNumber", text(&self.document)),
            ("documentType", text("invoice")),
            ("createdAt", text(&rfc3339(UNIX_EPOCH + Duration::from_secs(self.made)))),
        ]
    }

    /// The same instant on a clock that is an hour ahead.
    fn made_elsewhere(&self) -> String {
        let later = UNIX_EPOCH + Duration::from_secs(self.made + 3600);
        rfc3339(later).replace('Z', "+01:00")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn text(value: &str) -> String {
    format!("\"{value}\"")
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn spaced(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\r\n\t\"{name}\" :   {value}")).collect();
    format!(" {{{}\n}}\n\n", fields.join(" ,"))
}

fn enveloped(fields: &[(&str, String)]) -> String {
    format!("{{\"type\":\"com.xentral.pos.cardPaymentCaptured.v1\",\"body\":{}}}", object(fields))
}

fn signed(body: &str, key: usize, at: u64) -> Wired {
    let signature = sign(&Secret::new(KEYS[key]), body.as_bytes(), at as i64);
    let head = format!("Xentral-Signature: {signature}\r\nXentral-Request-Timestamp: {at}\r\n");
    Wired { head, body: body.to_owned() }
}

/// Names of header fields in capitals, and more room around their values.
fn shouted(wired: Wired) -> Wired {
    let lines = wired.head.lines().filter_map(|line| line.split_once(": "));
    let head = lines.map(|(name, value)| format!("{}:   {value}  \r\n", name.to_ascii_uppercase())).collect();
    Wired { head, ..wired }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_another_one() {
        let event = Event::new("7", "1", 2590);
        let mut said: Vec<String> =
            (0..VARIANTS).map(|variant| event.said(variant)).map(|w| w.head + &w.body).collect();
        said.sort();
        said.dedup();
        assert_eq!(said.len(), VARIANTS);
    }
}
