//! What the settings of an HTTP terminal are.

use std::collections::BTreeMap;
use std::time::Duration;

use tillswitch_core::settings::Reader;
use tillswitch_core::{DriverFactory, Identity, Settings, SettingsError, TerminalDriver};

use crate::address::Endpoint;
use crate::driver::HttpDriver;
use crate::wire::Dialer;

/// The longest that a whole card payment may take, unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// A `timeout` beyond this is a slip of the pen.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// Makes drivers for the plain terminal of the Xentral guide: `driver = "http"`.
///
/// | setting | means |
/// |---|---|
/// | `url` | where payments are posted to; it is shown in logs and on pages, so it must hold no secret |
/// | `timeout` | how long a whole card payment may take, `"120s"` by default; connecting has 3 s of its own |
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpFactory;

impl HttpFactory {
    /// The factory; it has no settings of its own.
    pub fn new() -> HttpFactory {
        HttpFactory
    }
}

impl DriverFactory for HttpFactory {
    fn name(&self) -> &str {
        "http"
    }

    fn description(&self) -> &str {
        "terminals that take a payment as JSON over HTTP"
    }

    /// The URL in its normal form: scheme and host in lower case, the default port filled in, path and query as written.
    fn identity(&self, settings: &Settings) -> Identity {
        let url = settings.table.get("url").and_then(toml::Value::as_str).unwrap_or_default();
        let address = Endpoint::parse(url).map_or_else(|_| String::new(), |endpoint| endpoint.normalised());
        Identity { address, account: BTreeMap::new() }
    }

    fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let mut reader = settings.reader();
        let dialer = read_url(&mut reader);
        let timeout = read_timeout(&mut reader);
        reader.finish()?;
        let dialer = dialer.expect("the reader noted a fault wherever there is no dialer");
        Ok(Box::new(HttpDriver::new(settings.terminal.clone(), settings.currency, dialer, timeout)))
    }
}

fn read_url(reader: &mut Reader<'_>) -> Option<Dialer> {
    let remedy = "write where the terminal takes payments: url = \"http://192.168.1.100:8080/payment\"";
    let url: String = reader.required("url", remedy)?;
    match Endpoint::parse(&url) {
        Ok(endpoint) => {
            Dialer::new(endpoint).map_err(|why| reader.fault("url", why, "install the system's certificates")).ok()
        }
        Err(faults) => {
            faults.into_iter().for_each(|fault| reader.fault("url", fault.message, fault.remedy));
            None
        }
    }
}

fn read_timeout(reader: &mut Reader<'_>) -> Duration {
    let timeout = reader.duration("timeout", DEFAULT_TIMEOUT);
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        reader.fault("timeout", "a card payment takes some time, and less than an hour", "leave it out for 120s");
    }
    timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: &Settings) -> Vec<String> {
        let faults = HttpFactory.build(settings).err().expect("the settings are wrong");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_lines_are_enough() {
        let settings = Settings::new("counter").with("url", "http://192.168.1.100:8080/payment");
        assert!(HttpFactory.build(&settings).is_ok());
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let settings = Settings::new("counter")
            .with("url", "ftp://user:hunter2@terminal/p#x")
            .with("timeout", "soon")
            .with("profile", "stripe");
        let faults = faults(&settings);
        let paths: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        assert_eq!(paths, ["url", "url", "url", "timeout", "profile"]);
        assert!(!faults.concat().contains("hunter2"), "{faults:?}");
    }

    #[test]
    fn the_url_is_required_and_the_timeout_is_not_zero() {
        let faults = faults(&Settings::new("counter").with("timeout", "0s"));
        assert!(faults[0].contains("`url` is missing") && faults[1].starts_with("timeout"), "{faults:?}");
    }

    #[test]
    fn the_same_terminal_has_the_same_identity() {
        let identity = |url: &str| HttpFactory.identity(&Settings::new("counter").with("url", url)).address;
        assert_eq!(identity("HTTP://Till.Shop/pay"), "http://till.shop:80/pay");
        assert_eq!(identity("HTTP://Till.Shop/pay"), identity("http://till.shop:80/pay"));
        assert_ne!(identity("http://till.shop/pay"), identity("http://till.shop/Pay"));
    }
}
