//! Where the running router is, and by which token it lets us in.

use std::net::SocketAddr;
use std::path::Path;

use tillswitch_core::Secret;
use toml::{Table, Value};

use super::RouterArgs;
use crate::config::Admin;

/// Where a router listens that names no address.
const DEFAULT: &str = "127.0.0.1:5001";
/// Holds the token for whoever may not read the router's own.
const TOKEN: &str = "TILLSWITCH_ADMIN_TOKEN";

/// The admin listener of a router.
#[derive(Debug)]
pub(in crate::cli) struct Place {
    /// Host and port.
    pub address: String,
    /// What everything but health needs, if it is set.
    pub token: Option<Secret>,
}

impl Place {
    /// Reads no more of the file than it needs: a file that is being changed must not lock anybody out of a running router.
    pub fn find(args: &RouterArgs) -> Result<Place, String> {
        let table = match std::fs::read_to_string(&args.config) {
            Ok(text) => parse(&args.config, &text)?,
            Err(_) if args.admin.is_some() => Table::new(),
            Err(error) => {
                let file = args.config.display();
                return Err(format!(
                    "{file} cannot be read: {error}; name the router's file with --config, or its address with --admin"
                ));
            }
        };
        let admin = table.get("admin").and_then(Value::as_table);
        let address = match &args.admin {
            Some(address) => address.clone(),
            None => configured(admin.and_then(|admin| admin.get("listen")))?,
        };
        let token = match from_environment() {
            Some(token) => Some(token),
            None => admin.and_then(|admin| admin.get("token")).map(|value| token(&args.config, value)).transpose()?,
        };
        Ok(Place { address, token })
    }

    /// The same from a configuration that was read as a whole.
    pub fn of(admin: &Admin, address: Option<&str>) -> Result<Place, String> {
        let address = match address {
            Some(address) => address.to_owned(),
            None => reachable(admin.listen)?,
        };
        Ok(Place { address, token: from_environment().or_else(|| admin.token.clone()) })
    }
}

/// What a person sets on purpose counts more than the file.
fn from_environment() -> Option<Secret> {
    std::env::var(TOKEN).ok().filter(|token| !token.is_empty()).map(Secret::new)
}

/// A host and a port, as they may stand in a browser's line.
pub(in crate::cli) fn address(text: &str) -> Result<String, String> {
    if text.starts_with("https://") {
        return Err("the admin listener speaks plain HTTP; name its own address, such as 127.0.0.1:5001".to_owned());
    }
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    let fits = matches!(port, Some(Ok(port)) if port > 0) && !text.contains(['/', ' ']);
    fits.then(|| text.to_owned()).ok_or_else(|| "expected host and port, such as 127.0.0.1:5001".to_owned())
}

/// The text is not shown when it is no TOML: it may hold a secret.
fn parse(file: &Path, text: &str) -> Result<Table, String> {
    text.parse().map_err(|_| {
        format!("{} is no TOML; `tillswitch check` says where, --admin ADDRESS does without it", file.display())
    })
}

fn configured(listen: Option<&Value>) -> Result<String, String> {
    let text = listen.map_or(Some(DEFAULT), Value::as_str);
    let listen = text.and_then(|text| text.parse().ok());
    reachable(
        listen.ok_or("`admin.listen` is no address; `tillswitch check` says more, --admin ADDRESS does without it")?,
    )
}

/// Who listens everywhere is reached on this machine.
fn reachable(listen: SocketAddr) -> Result<String, String> {
    if listen.port() == 0 {
        return Err("`admin.listen` leaves the port open; name the address in use with --admin".to_owned());
    }
    let host = match listen {
        SocketAddr::V4(_) if listen.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(_) if listen.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    Ok(format!("{host}:{}", listen.port()))
}

/// The token where the file says that it is kept.
fn token(file: &Path, value: &Value) -> Result<Secret, String> {
    let way_out = format!("set {TOKEN} instead");
    if let Some(text) = value.as_str() {
        return Ok(Secret::new(text));
    }
    let kept = |key: &str| value.get(key).and_then(Value::as_str);
    let text = match (kept("file"), kept("env")) {
        (Some(path), None) => {
            let path = file.parent().unwrap_or(Path::new(".")).join(path);
            let read = std::fs::read_to_string(&path);
            let text = read
                .map_err(|error| format!("the admin token in {} cannot be read: {error}; {way_out}", path.display()))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, Some(name)) => std::env::var(name).map_err(|_| {
            format!("the admin token is kept in the variable {name}, which is not set; set it, or {TOKEN}")
        })?,
        _ => return Err(format!("`admin.token` names neither a file nor a variable; {way_out}")),
    };
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, admin: Option<&str>) -> Result<(String, Option<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tillswitch.toml");
        std::fs::write(&config, text).unwrap();
        std::fs::write(folder.path().join("admin-token"), "from a file\r\n").unwrap();
        let place = Place::find(&RouterArgs { config, admin: admin.map(str::to_owned) })?;
        Ok((place.address, place.token.map(|token| token.reveal().to_owned())))
    }

    #[test]
    fn address_and_token_are_found_in_a_file_that_is_otherwise_wrong() {
        for (text, admin, address, token) in [
            ("", None, "127.0.0.1:5001", None),
            ("nonsense = 1\n[admin]\nlisten = \"127.0.0.1:7\"", None, "127.0.0.1:7", None),
            ("[admin]\nlisten = \"0.0.0.0:7\"\ntoken = \"inline\"", None, "127.0.0.1:7", Some("inline")),
            ("[admin]\nlisten = \"[::]:7\"\ntoken = { file = \"admin-token\" }", None, "[::1]:7", Some("from a file")),
            ("[admin]\nlisten = \"127.0.0.1:0\"", Some("till:8"), "till:8", None),
        ] {
            assert_eq!(found(text, admin), Ok((address.to_owned(), token.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_found_is_said_with_a_way_out_and_without_the_text() {
        for (text, expected) in [
            ("[admin]\nlisten = \"127.0.0.1:0\"", "--admin"),
            ("[admin]\nlisten = \"here\"", "tillswitch check"),
            ("[admin]\ntoken = { file = \"nowhere\" }", "TILLSWITCH_ADMIN_TOKEN"),
            ("[admin]\ntoken = { env = \"TILLSWITCH_NOT_SET\" }", "TILLSWITCH_NOT_SET"),
            ("[admin]\ntoken = \"hunter2", "is no TOML"),
        ] {
            let message = found(text, None).unwrap_err();
            assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for text in ["127.0.0.1:5001", "http://127.0.0.1:5001/", "http://127.0.0.1:5001"] {
            assert_eq!(address(text).as_deref(), Ok("127.0.0.1:5001"), "{text}");
        }
        for text in ["", "till", ":5001", "till:0", "till:port", "https://till:5001", "till:5001/x", "a b:1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
