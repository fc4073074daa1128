//! The commands, one file each.

mod abort;
mod again;
pub mod check;
mod client;
mod completions;
pub mod demo;
pub mod drivers;
mod end_of_day;
pub mod exit;
mod hardening;
pub mod init;
mod notify;
mod online;
mod pay;
mod payments;
mod refund;
mod reload;
mod resolve;
mod reverse;
pub mod serve;
mod service;
pub mod simulate;
mod table;
mod terminals;
mod zvt;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tillswitch_core::DriverRegistry;

/// Routes card payments of a cloud point of sale to the terminals of a shop
#[derive(Debug, Parser)]
#[command(name = "tillswitch", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the router
    Serve(serve::ServeArgs),
    /// Write a first configuration
    Init(init::InitArgs),
    /// Show the whole way with simulated terminals: no hardware, no configuration
    Demo(demo::DemoArgs),
    /// Check the configuration and, with --online, the terminals
    Check(check::CheckArgs),
    /// Start a payment at a register and wait for its end
    Pay(pay::PayArgs),
    /// Pay an approved sale back, or a part of it
    Refund(refund::RefundArgs),
    /// Take an approved sale back as a whole
    Reverse(reverse::ReverseArgs),
    /// Start a payment in place of one that came to nothing
    Again(again::AgainArgs),
    /// Ask a running payment to stop
    Abort(abort::AbortArgs),
    /// List payments, or tell everything about one
    Payments(payments::PaymentsArgs),
    /// Say what became of a payment in doubt
    Resolve(resolve::ResolveArgs),
    /// List the running router's terminals
    Terminals(terminals::TerminalsArgs),
    /// Close a terminal's business day
    EndOfDay(client::work::WorkArgs),
    /// Run a service of a terminal, such as a diagnosis
    Service(service::ServiceArgs),
    /// Have the running router read its configuration again
    Reload(reload::ReloadArgs),
    /// Run a simulated terminal to test against
    Simulate(simulate::SimulateArgs),
    /// Explain what ZVT terminals say
    Zvt(zvt::ZvtArgs),
    /// List the drivers
    Drivers(drivers::DriversArgs),
    /// Print what a shell needs to complete these commands
    Completions(completions::CompletionsArgs),
}

/// Runs the command that the program was called with.
pub(crate) fn run(registry: &DriverRegistry) -> ExitCode {
    crate::log::tell_panics_without_values();
    match Arguments::parse().command {
        Command::Serve(args) => {
            hardening::harden();
            serve::run(&args, registry)
        }
        Command::Init(args) => init::run(args, registry),
        Command::Demo(args) => demo::run(&args, registry),
        Command::Check(args) => check::run(args, registry),
        Command::Pay(args) => pay::run(&args),
        Command::Refund(args) => refund::run(&args),
        Command::Reverse(args) => reverse::run(&args),
        Command::Again(args) => again::run(&args),
        Command::Abort(args) => abort::run(&args),
        Command::Payments(args) => payments::run(&args),
        Command::Resolve(args) => resolve::run(&args),
        Command::Terminals(args) => terminals::run(&args),
        Command::EndOfDay(args) => end_of_day::run(&args),
        Command::Service(args) => service::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Completions(args) => completions::run(&args, Arguments::command()),
        Command::Simulate(args) => simulate::run(&args),
        Command::Zvt(args) => zvt::run(&args),
        Command::Drivers(args) => drivers::run(args, registry),
    }
}
