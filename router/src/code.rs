//! The words that tell a program why something was not paid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($variant:ident $word:literal $doc:literal,)*) => {
        /// The `code` of an answer and of a stored result. The words are fixed: other people's programs read them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $doc] $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The word that programs read.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }
        }
    };
}

codes! {
    Malformed "malformed" "The body is not what a point of sale sends.",
    BadAmount "bad-amount" "The amount is missing, zero, negative for a sale or not exact.",
    UnknownOperation "unknown-operation" "Neither a sale nor a refund.",
    BadSignature "bad-signature" "The signature is missing or wrong.",
    UnknownRegister "unknown-register" "No register is configured for the project.",
    AmbiguousRegister "ambiguous-register" "The project fits more than one register.",
    UnknownPaymentEvent "unknown-payment-event" "An event of another name that looks like a payment.",
    ConflictingRepeat "conflicting-repeat" "The same event again with other content.",
    SuspectedRepeat "suspected-repeat" "More likely a second press than a second charge.",
    DocumentInDoubt "document-in-doubt" "A payment of this document is in doubt.",
    TooOld "too-old" "The event arrived too late, or from the future.",
    PartialApproval "partial-approval" "Less was approved than was asked.",
    PartialRefused "partial-refused" "The terminal offered less than was asked, and that was refused there.",
    OverRefund "over-refund" "More would go back than was paid.",
    OriginalNotFound "original-not-found" "The payment to undo is unknown or was not approved.",
    TerminalUnreachable "terminal-unreachable" "Nobody answers at the terminal's address.",
    TerminalRefused "terminal-refused" "The terminal answered that it will not do this.",
    TerminalBusy "terminal-busy" "The terminal is at something else.",
    TerminalInDoubt "terminal-in-doubt" "The terminal has a payment in doubt and takes no other.",
    Unsupported "unsupported" "The terminal cannot do this.",
    WrongCurrency "wrong-currency" "The terminal settles in another currency.",
    Declined "declined" "The terminal or the bank refused.",
    Cancelled "cancelled" "The customer or the cashier stopped it.",
    InDoubt "in-doubt" "The outcome is missing.",
    Pending "pending" "The terminal is still at it.",
    JournalUnavailable "journal-unavailable" "The journal cannot be written, so nothing is started.",
    ShuttingDown "shutting-down" "The router is stopping.",
    TooLarge "too-large" "The request is larger than allowed.",
    TooMany "too-many" "Too many requests or connections.",
    Timeout "timeout" "The request came too slowly.",
    NotFound "not-found" "There is nothing at this address.",
    MethodNotAllowed "method-not-allowed" "This address takes another method.",
    NoIdempotencyKey "no-idempotency-key" "A request that can move money needs an Idempotency-Key.",
    Unauthorized "unauthorized" "The token is missing or wrong.",
    StillAsking "still-asking" "The terminal is still being asked.",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Code, String> {
        let known = Code::ALL.iter().copied().find(|code| code.name() == text);
        known.ok_or_else(|| format!("unknown code {text:?}"))
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_word_and_none_is_listed_twice() {
        for code in Code::ALL {
            assert_eq!(code.name().parse(), Ok(*code));
        }
    }
}
