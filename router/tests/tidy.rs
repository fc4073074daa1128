//! What is worth enforcing about the source itself.
#![allow(clippy::unwrap_used)] // a panic is the report of a test

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tillswitch::metrics::ALL;

/// The top level, apart from dot-files and dot-folders.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "config.example.toml",
    "core",
    "drivers",
    "examples",
    "router",
    "target",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the router is a folder of the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with this ending, without build products.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["core", "drivers", "router", "examples"] {
        let folder = root().join(folder);
        if folder.is_dir() {
            files(&folder, ".rs", &mut found);
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The workspace's own crates that a manifest depends on, for building as well as for tests.
fn own_dependencies(manifest: &Path) -> BTreeSet<String> {
    let table: toml::Table = read(manifest).parse().unwrap();
    let mut found = BTreeSet::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let names = table.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        found.extend(names.filter(|name| name.starts_with("tillswitch")).cloned());
    }
    found
}

#[test]
fn the_arrows_point_from_the_router_to_the_drivers_to_core() {
    assert_eq!(own_dependencies(&root().join("core/Cargo.toml")), BTreeSet::new(), "core knows nobody");
    let core: BTreeSet<String> = ["tillswitch-core".to_owned()].into();
    for driver in fs::read_dir(root().join("drivers")).unwrap().flatten() {
        let manifest = driver.path().join("Cargo.toml");
        assert_eq!(own_dependencies(&manifest), core, "{} knows core and nobody else", manifest.display());
    }
}

#[test]
fn the_top_level_is_the_users() {
    for entry in fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()), "{name} does not belong at the top level");
    }
}

#[test]
fn every_file_says_first_which_question_it_answers() {
    for path in sources() {
        assert!(read(&path).starts_with("//! "), "{} does not begin with `//! `", path.display());
    }
}

#[test]
fn metric_names_live_in_one_folder() {
    for path in sources() {
        let exempt = ["/router/src/metrics/", "/tests/"].iter().any(|folder| path.to_string_lossy().contains(folder));
        let text = read(&path);
        let makes = ["counter!(", "gauge!(", "histogram!("].iter().any(|call| text.contains(call));
        let names = ALL.iter().any(|metric| text.contains(&format!("\"{}", metric.name)));
        assert!(exempt || !(makes || names), "{} makes or names a metric of its own", path.display());
    }
}

#[test]
fn only_the_plugin_crate_may_be_unsafe() {
    for path in sources() {
        let allowed = path.starts_with(root().join("drivers/plugin")) || path.ends_with("router/tests/tidy.rs");
        let text = read(&path);
        let is_unsafe =
            ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"].iter().any(|word| text.contains(word));
        assert!(allowed || !is_unsafe, "{} is unsafe", path.display());
    }
}
