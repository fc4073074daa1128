//! Which addresses mean the same place, and which do not stay where they are?

use std::fs;
use std::path::{Path, PathBuf};

/// Names that the kernel gives in the order in which adapters are plugged in.
const NUMBERED: [&str; 2] = ["/dev/ttyUSB", "/dev/ttyACM"];
/// Names that stay with an adapter.
const BY_ID: &str = "/dev/serial/by-id";

/// What an address means on this machine at the moment: of a device that has several names, always the same one. Only to
/// compare with; a payment keeps the name that is configured, because that one stays.
pub fn resolved(address: &str) -> String {
    match fs::canonicalize(address) {
        Ok(path) if Path::new(address).is_absolute() => path.display().to_string(),
        Ok(_) | Err(_) => address.to_owned(),
    }
}

/// Why the terminal may be at another address tomorrow, and what to write instead.
pub(super) fn wanders(address: &str) -> Option<(String, String)> {
    if !NUMBERED.iter().any(|numbered| address.starts_with(numbered)) {
        return None;
    }
    let message =
        format!("{address} may be another adapter after a restart: the numbers go by the order of plugging in");
    let remedy = match lasting_name(Path::new(BY_ID), address) {
        Some(name) => format!("write the name that stays with this adapter: {name:?}"),
        None => format!("write the name that stays with the adapter; `ls -l {BY_ID}` shows it"),
    };
    Some((message, remedy))
}

/// The name of a device in a folder of links.
fn lasting_name(links: &Path, device: &str) -> Option<PathBuf> {
    let device = fs::canonicalize(device).ok()?;
    let mut names: Vec<PathBuf> = fs::read_dir(links).ok()?.filter_map(|link| Some(link.ok()?.path())).collect();
    names.sort();
    names.into_iter().find(|name| fs::canonicalize(name).is_ok_and(|target| target == device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_exists_on_this_machine_is_resolved() {
        for address in ["192.168.1.100:20007", "http://a/b", "/dev/there-is-no-such-device", "COM3", "Cargo.toml"] {
            assert_eq!(resolved(address), address);
        }
    }

    #[test]
    fn numbered_names_wander_and_the_name_that_stays_is_told() {
        for address in ["/dev/ttyUSB0", "/dev/ttyACM12"] {
            let (message, remedy) = wanders(address).unwrap();
            assert!(message.contains(address) && remedy.contains(BY_ID), "{message} {remedy}");
        }
        for address in ["/dev/serial/by-id/usb-FTDI-if00", "/dev/ttyS0", "192.168.1.100:20007"] {
            assert_eq!(wanders(address), None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_name_that_stays_is_found_by_the_device() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("by-id")).unwrap();
        for (device, name) in [("ttyUSB0", "by-id/usb-a"), ("ttyUSB1", "by-id/usb-b")] {
            fs::write(place(device), "").unwrap();
            std::os::unix::fs::symlink(place(device), place(name)).unwrap();
        }
        let device = |name: &str| place(name).display().to_string();
        let by_id = place("by-id");
        assert_eq!(lasting_name(&by_id, &device("ttyUSB1")), Some(place("by-id/usb-b")));
        assert_eq!(lasting_name(&by_id, &device("ttyUSB2")), None);
        assert_eq!(lasting_name(&place("nowhere"), &device("ttyUSB1")), None);
        assert_eq!(resolved(&device("by-id/usb-a")), resolved(&device("ttyUSB0")));
    }
}
