//! What must hold between a driver's answer and the terminal's ledger.

use crate::driver::{Cause, DriverError};
use crate::ledger::{LedgerEntry, standing};
use crate::outcome::{Outcome, Resolution};
use crate::payment::PaymentRequest;

use super::session::TestSession;

/// What `execute` returned, and what could be seen around it.
pub(super) struct Seen<'a> {
    pub request: &'a PaymentRequest,
    pub session: &'a TestSession,
    pub result: &'a Result<Outcome, DriverError>,
    pub ledger: Vec<LedgerEntry>,
    pub money_commands: usize,
}

/// The answers that a case allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The whole amount.
    Approved,
    /// Exactly this share of the amount, in percent.
    ApprovedShare(u64),
    Declined,
    Cancelled,
    NotStarted(Cause),
    InDoubt,
    Unsupported,
}

impl Expect {
    pub fn fits(self, seen: &Seen<'_>) -> bool {
        let asked = seen.request.amount.minor();
        match (self, seen.result) {
            (Expect::Approved, Ok(Outcome::Approved(approval))) => approval.amount.minor() == asked,
            (Expect::ApprovedShare(percent), Ok(Outcome::Approved(approval))) => {
                approval.amount.minor() == asked * percent / 100
            }
            (Expect::Declined, Ok(Outcome::Declined(_))) => true,
            (Expect::Cancelled, Ok(Outcome::Cancelled(_))) => true,
            (Expect::NotStarted(cause), Err(DriverError::NotStarted(reason))) => reason.cause == cause,
            (Expect::InDoubt, Err(DriverError::InDoubt(_))) => true,
            (Expect::Unsupported, Err(DriverError::Unsupported)) => true,
            _ => false,
        }
    }
}

/// The rules that hold in every case, whatever the terminal did.
pub(super) fn rules_of_money(seen: &Seen<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if seen.money_commands > 1 {
        faults.push(format!("the money command reached the terminal {} times", seen.money_commands));
    }
    let standing = standing(&seen.ledger);
    match seen.result {
        Ok(Outcome::Approved(approval)) => {
            let booked: Vec<_> = standing.iter().map(|entry| entry.amount).collect();
            if booked != [approval.amount] {
                faults.push(format!(
                    "it says approved {}, the terminal's standing bookings are {booked:?}",
                    approval.amount
                ));
            }
            if !seen.session.recorded.iter().any(|said| matches!(said, Outcome::Approved(_))) {
                faults.push("it says approved and never recorded it".into());
            }
        }
        Ok(Outcome::Declined(_) | Outcome::Cancelled(_))
        | Err(DriverError::NotStarted(_) | DriverError::Unsupported) => {
            if !standing.is_empty() {
                faults.push(format!("it says {:?}, yet the terminal booked {standing:?}", seen.result));
            }
        }
        Err(DriverError::InDoubt(_)) => {}
    }
    faults
}

/// What `resolve` may say, given what the terminal really booked.
pub(super) fn resolution_is_true(resolution: &Resolution, ledger: &[LedgerEntry]) -> Vec<String> {
    let booked: Vec<_> = standing(ledger).iter().map(|entry| entry.amount).collect();
    let fault = match resolution {
        Resolution::Known(Outcome::Approved(approval)) if booked != [approval.amount] => {
            format!("it resolved to approved {}, the terminal's standing bookings are {booked:?}", approval.amount)
        }
        Resolution::Known(Outcome::Declined(_) | Outcome::Cancelled(_)) | Resolution::NotCharged(_)
            if !booked.is_empty() =>
        {
            format!("it resolved to {resolution:?}, yet the terminal booked {booked:?}")
        }
        Resolution::InProgress => "it never came to an end".into(),
        Resolution::Known(_) | Resolution::NotCharged(_) | Resolution::Undecided(_) => return Vec::new(),
    };
    vec![fault]
}
