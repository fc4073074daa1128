//! What the terminals that speak ZVT are made of: drivers `zvt-tcp` and `zvt-serial`, and a simulated terminal.
//!
//! # The map of the code
//!
//! From the wire upwards. Everything below turns bytes into values and back; nothing in it does I/O, and nothing
//! fails on what a terminal sends: what cannot be understood is kept beside what was.
//!
//! | file | question |
//! |---|---|
//! | `apdu` | How is a message cut out of a stream of bytes? |
//! | `bcd`, `clock`, `charset` | What do nibbles, clocks and characters look like as bytes? |
//! | `bmp`, `value` | How is one bitmap field told from the next, and kept? |
//! | `tlv` | What does the container of BMP 06 hold? |
//! | `fields` | What does a data block hold? Getters for every field that a payment needs, and setters. |
//! | `totals` | What was taken since the last end of day? |
//! | `command` | What does the ECR say? Built by the driver, read by the simulated terminal. |
//! | `registration` | How does the ECR introduce itself? |
//! | `answer` | What does the ECR answer to a result or a question of the PT? |
//! | `reply` | What does the PT say? |
//! | `slip` | What is a slip made of? |
//! | `tables` | The standard's tables, as data. |
//! | `decode` | What does a message say, field by field? |
//! | `trace` | What of a message may be read in a log? |
//! | `simulator` | What does a terminal do? The PT's side, scripted, with faults and a ledger; it does I/O. |
//!
//! The driver stands on that. What decides about money is without I/O too.
//!
//! | file | question |
//! |---|---|
//! | `sequence` | How does a payment's conversation go? The state machine that decides about money. |
//! | `enquiry` | How does the conversation about any other command go? |
//! | `conversation` | What goes in and out of a conversation, and how is it led over a line? |
//! | `transport` | What can a line to a PT do? TCP, plain or encrypted, and the serial line. |
//! | `connection` | How is the line opened, registered on, checked and kept? |
//! | `day` | What did an end of day report, in the words of core? |
//! | `card_numbers` | Which digits of a printed line are a card number? |
//! | `messages`, `collector` | What are the PT's fields and slips in the words of core? |
//! | `driver`, `factory`, `settings`, `timing` | How is a terminal driven, made, set and waited for? |
//! | `learnt`, `resolve`, `terminal_clock` | What is remembered before a payment, and what became of one in doubt? |
//!
//! # What is deliberately absent
//!
//! Card numbers: no getter returns one, only its last four digits. `Debug` of messages, fields and slips shows tags
//! and lengths, because anything else would reach a log some day. Commands that read cards or ask the customer for
//! input (06 C0, 06 E2): the protocol has no authentication, so a router that offered them would help an attacker.

pub mod answer;
pub mod apdu;
pub mod bcd;
pub mod bmp;
mod card_numbers;
pub mod charset;
pub mod clock;
mod collector;
pub mod command;
mod connection;
mod conversation;
mod day;
pub mod decode;
mod driver;
mod enquiry;
mod factory;
pub mod fields;
mod late;
mod learnt;
mod messages;
pub mod registration;
pub mod reply;
mod resolve;
mod sequence;
mod settings;
pub mod simulator;
pub mod slip;
pub mod tables;
mod terminal_clock;
pub mod timing;
pub mod tlv;
pub mod totals;
pub mod trace;
pub mod transport;
pub mod value;

pub use factory::{ZvtSerialFactory, ZvtTcpFactory, driver_over};
pub use timing::Timing;
