//! The words of Tillswitch and the seam between the router and a terminal driver.
//!
//! | file | question |
//! |---|---|
//! | [`money`] | how an amount is held and read without losing a cent |
//! | [`payment`] | what somebody asked a terminal to do |
//! | [`outcome`] | what a terminal said about the money |
//! | [`driver`] | the contract of a driver |
//! | [`line`] | what a driver tells of the line to its terminal |
//! | [`abort`] | how a running command learns that it should stop |
//! | [`settings`] | how a driver reads its part of the configuration |
//! | [`registry`] | which drivers there are |
//! | [`wall_clock`] | what time is it |
//! | `ledger` | what a simulated terminal booked (feature `conformance`) |
//! | `conformance` | the suite that every driver passes (feature `conformance`) |
//!
//! Deliberately absent: I/O, time zones, any brand, any journal. What a register or a webhook is, only the router knows.

pub mod abort;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod driver;
#[cfg(feature = "conformance")]
pub mod ledger;
pub mod line;
pub mod money;
pub mod outcome;
pub mod payment;
pub mod registry;
pub mod settings;
pub mod wall_clock;

pub use abort::{Abort, AbortHandle};
pub use async_trait::async_trait;
pub use driver::{
    BrandTotal, Cause, Display, DriverError, EndOfDay, NotStored, Notes, Progress, Reason, ReceiptRange, ServiceReport,
    Session, TerminalDriver, TerminalStatus,
};
pub use line::{KeepLate, LineEvent, LineWatch};
pub use money::{AmountError, Currency, Money, Sign};
pub use outcome::{Approval, Card, Details, Evidence, Outcome, Receipt, ReceiptKind, Resolution};
pub use payment::{Document, Operation, Original, PaymentId, PaymentRequest};
pub use registry::{DriverFactory, DriverRegistry};
pub use settings::{Identity, Secret, Settings, SettingsError};
