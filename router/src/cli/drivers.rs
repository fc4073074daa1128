//! `tillswitch drivers`: which drivers this program has.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;
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
    let describe = |name| registry.get(name).map_or(String::new(), |factory| factory.description().to_owned());
    let drivers: Vec<(&str, String)> = registry.names().map(|name| (name, describe(name))).collect();
    if args.json {
        let names: Vec<&str> = drivers.iter().map(|(name, _)| *name).collect();
        let descriptions: BTreeMap<&str, &String> = drivers.iter().map(|(name, text)| (*name, text)).collect();
        return format!("{}\n", json!({ "drivers": names, "descriptions": descriptions }));
    }
    let width = drivers.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, text): &(&str, String)| format!("{}\n", format!("{name:width$}  {text}").trim_end());
    drivers.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_drivers_lists_none() {
        let registry = DriverRegistry::new();
        assert_eq!(list(&DriversArgs { json: false }, &registry), "");
        assert_eq!(list(&DriversArgs { json: true }, &registry), "{\"drivers\":[],\"descriptions\":{}}\n");
    }

    #[test]
    fn every_driver_says_what_it_drives() {
        let registry = crate::drivers::builtin();
        let text = list(&DriversArgs { json: false }, &registry);
        assert!(text.lines().all(|line| line.split_whitespace().count() > 3), "{text}");
        assert!(text.contains("zvt-tcp     ZVT terminals on TCP"), "{text}");
        let told: serde_json::Value = serde_json::from_str(&list(&DriversArgs { json: true }, &registry)).unwrap();
        assert_eq!(told["drivers"].as_array().unwrap().len(), told["descriptions"].as_object().unwrap().len());
    }
}
