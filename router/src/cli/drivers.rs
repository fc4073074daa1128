//! `tillswitch drivers`: which drivers this program has.

use std::process::ExitCode;

use tillswitch_core::DriverRegistry;

/// What `tillswitch drivers` takes.
#[derive(clap::Args, Clone, Debug)]
pub struct DriversArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Lists the names that `driver = "…"` takes.
pub fn run(args: DriversArgs, registry: &DriverRegistry) -> ExitCode {
    print!("{}", list(&args, registry));
    ExitCode::SUCCESS
}

fn list(args: &DriversArgs, registry: &DriverRegistry) -> String {
    let names: Vec<&str> = registry.names().collect();
    match args.json {
        true => format!("{}\n", serde_json::json!({ "drivers": names })),
        false => names.iter().map(|name| format!("{name}\n")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_drivers_lists_none() {
        let registry = DriverRegistry::new();
        assert_eq!(list(&DriversArgs { json: false }, &registry), "");
        assert_eq!(list(&DriversArgs { json: true }, &registry), "{\"drivers\":[]}\n");
    }
}
