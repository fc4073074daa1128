//! How the same event is recognised when it comes again.

use sha2::{Digest, Sha256};

use super::event::{CreatedAt, PaymentEvent};
use crate::journal::Keys;

/// The keys of an event.
pub fn keys(event: &PaymentEvent) -> Keys {
    Keys::Event { guid: event.guid.clone(), content: content_hash(event), has_created_at: event.created_at.is_some() }
}

/// `v1:` and the SHA-256 over the parsed fields, each with its length in front, so that neither the order of the keys nor
/// the way a number is written counts, and no two fields can run into each other.
fn content_hash(event: &PaymentEvent) -> String {
    let document = event.document.as_ref();
    let mut hash = Sha256::new();
    for field in [
        event.project_id.as_deref().or(event.project_number.as_deref()).unwrap_or_default(),
        document.map_or("", |document| &document.number),
        document.and_then(|document| document.kind.as_deref()).unwrap_or_default(),
        event.operation.name(),
        &event.amount.minor().to_string(),
        &event.tip_minor.map_or(String::new(), |tip| tip.to_string()),
        event.amount.currency().code(),
        event.payment_method.as_deref().unwrap_or_default(),
        &created_at(event.created_at.as_ref()),
    ] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1:{digits}")
}

fn created_at(created: Option<&CreatedAt>) -> String {
    match created {
        Some(CreatedAt::Instant(instant)) => format!("i{}", instant.as_nanosecond()),
        Some(CreatedAt::Text(text)) => format!("t{text}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tip;
    use crate::intake::event::{Event, Reading, read};
    use crate::intake::signature::verify;

    fn hash(body: &str) -> String {
        let verified = verify(&[], &hyper::HeaderMap::new(), body.to_owned().into()).unwrap();
        match read(&verified, Reading { event_types: &[], tip: Tip::Included }) {
            Ok(Event::Payment(payment)) => content_hash(&payment),
            other => panic!("{other:?}"),
        }
    }

    const ONE: &str = r#"{"operation":"sale","project":{"id":"7"},"currency":"EUR","amount":25.9,"documentNumber":"1","createdAt":"2026-01-01T12:00:00Z"}"#;

    #[test]
    fn the_same_content_in_other_words_is_equal() {
        for (from, to) in [
            ("25.9", "25.90"),
            ("25.9", "\"25.900\""),
            ("\"sale\"", "\"SELL\""),
            ("12:00:00Z", "13:00:00+01:00"),
            ("12:00:00Z", "12:00:00.000+00:00"),
            ("\"7\"", "7"),
            ("\"documentNumber\":\"1\"", "\"documentNumber\":1"),
        ] {
            assert_eq!(hash(ONE), hash(&ONE.replace(from, to)), "{from} -> {to}");
        }
    }

    #[test]
    fn other_content_is_not() {
        for (from, to) in [
            ("25.9", "25.91"),
            ("sale", "refund"),
            ("EUR", "USD"),
            ("\"7\"", "\"8\""),
            ("12:00:00Z", "12:00:01Z"),
            ("\"documentNumber\":\"1\"", "\"documentNumber\":\"\",\"documentType\":\"1\""),
            ("\"documentNumber\"", "\"paymentMethod\":\"card\",\"documentNumber\""),
        ] {
            assert_ne!(hash(ONE), hash(&ONE.replace(from, to)), "{from} -> {to}");
        }
    }
}
