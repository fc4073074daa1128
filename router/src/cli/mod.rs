//! The commands, one file each.

pub mod check;
pub mod demo;
pub mod drivers;
pub mod exit;
pub mod init;
pub mod serve;
pub mod simulate;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
    /// Run a simulated terminal to test against
    Simulate(simulate::SimulateArgs),
    /// List the drivers
    Drivers(drivers::DriversArgs),
}

/// Runs the command that the program was called with.
pub(crate) fn run(registry: &DriverRegistry) -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args, registry),
        Command::Init(args) => init::run(args, registry),
        Command::Demo(args) => demo::run(&args, registry),
        Command::Check(args) => check::run(args, registry),
        Command::Simulate(args) => simulate::run(&args),
        Command::Drivers(args) => drivers::run(args, registry),
    }
}
