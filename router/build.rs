//! Which revision and compiler does a build come from?
//!
//! Only a release build asks git: it must be built anew at every commit for that, which would cost whoever works on the
//! router a build per commit. `TILLSWITCH_REVISION` names it where there is no git, such as in a container.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TILLSWITCH_REVISION");
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let given = env::var("TILLSWITCH_REVISION").ok().filter(|revision| !revision.is_empty());
    let revision = given.or_else(|| if release { revision() } else { None });
    println!("cargo::rustc-env=TILLSWITCH_REVISION={}", revision.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=TILLSWITCH_RUSTC={}", compiler().as_deref().unwrap_or("unknown"));
}

fn revision() -> Option<String> {
    let log = ask("git", &["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists());
    if let Some(log) = log {
        println!("cargo::rerun-if-changed={log}");
    }
    ask("git", &["rev-parse", "--short=12", "HEAD"])
}

/// `1.95.0` of `rustc 1.95.0 (…)`.
fn compiler() -> Option<String> {
    let version = ask(&env::var("RUSTC").ok()?, &["--version"])?;
    version.split(' ').nth(1).map(str::to_owned)
}

fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
