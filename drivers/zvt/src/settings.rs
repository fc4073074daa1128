//! What a user may set for a ZVT terminal.

use std::path::{Path, PathBuf};

use tillswitch_core::settings::Reader;
use tillswitch_core::{Currency, Settings, SettingsError};

use crate::command::{Password, service_byte};
use crate::registration::config_byte;
use crate::transport::serial::{LineSettings, Parity, StopBits};

/// The port on which terminals listen for ZVT.
const DEFAULT_PORT: u16 = 20007;
/// Others than 9600 are agreed on at the terminal.
const DEFAULT_BAUD_RATE: u32 = 9600;
const BAUD_RATES: [u32; 9] = [1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200, 230_400];
const DEFAULT_PASSWORD: &str = "000000";

/// Whether payments can be started on the PT's own keypad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keypad {
    /// Amounts come from the ECR only, so that receipt numbers follow each other without a gap.
    Locked,
    Open,
}

/// Who prints slips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipts {
    Terminal,
    Router,
}

/// Whether the connection outlives a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Keep,
    PerPayment,
}

/// What both transports share.
#[derive(Clone, Debug)]
pub(crate) struct ZvtSettings {
    pub password: Password,
    pub connection: Connection,
    pub keypad: Keypad,
    pub receipts: Receipts,
    pub currency: Currency,
}

/// The settings of `zvt-tcp`.
#[derive(Clone, Debug)]
pub(crate) struct TcpSettings {
    /// Host and port.
    pub address: String,
    /// How the line is encrypted, if it is.
    pub tls: Option<TlsSettings>,
    pub zvt: ZvtSettings,
}

/// How the line is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// The file with the certificates that are believed; without one, this machine's.
    pub ca: Option<PathBuf>,
    /// The name in the PT's certificate, where that is not the host of the address.
    pub server_name: Option<String>,
}

impl TcpSettings {
    pub fn read(settings: &Settings) -> Result<TcpSettings, Vec<SettingsError>> {
        let mut reader = settings.reader();
        let address = read_address(&mut reader);
        let tls = read_tls(&mut reader, &settings.base_dir);
        let zvt = ZvtSettings::read(&mut reader, settings.currency);
        reader.finish()?;
        let address = address.expect("a missing or faulty address was noted, and finish returned it");
        let zvt = zvt.expect("a faulty password was noted, and finish returned it");
        Ok(TcpSettings { address, tls, zvt })
    }
}

/// The settings of `zvt-serial`.
#[derive(Clone, Debug)]
pub(crate) struct SerialSettings {
    /// The path of the device, as it was written: a name of `/dev/serial/by-id` stays the same when adapters change places.
    pub device: String,
    pub line: LineSettings,
    pub zvt: ZvtSettings,
}

impl SerialSettings {
    pub fn read(settings: &Settings) -> Result<SerialSettings, Vec<SettingsError>> {
        let mut reader = settings.reader();
        let device = read_device(&mut reader);
        let line = LineSettings {
            baud_rate: read_baud_rate(&mut reader),
            parity: reader.choice("parity", &[("none", Parity::None), ("odd", Parity::Odd), ("even", Parity::Even)]),
            stop_bits: read_stop_bits(&mut reader),
        };
        let zvt = ZvtSettings::read(&mut reader, settings.currency);
        reader.finish()?;
        let device = device.expect("a missing or faulty device was noted, and finish returned it");
        let zvt = zvt.expect("a faulty password was noted, and finish returned it");
        Ok(SerialSettings { device, line, zvt })
    }
}

impl ZvtSettings {
    /// The settings of a line that has none of its own.
    pub fn alone(settings: &Settings) -> Result<ZvtSettings, Vec<SettingsError>> {
        let mut reader = settings.reader();
        let zvt = ZvtSettings::read(&mut reader, settings.currency);
        reader.finish()?;
        Ok(zvt.expect("a faulty password was noted, and finish returned it"))
    }

    /// `None` means that a fault was noted.
    fn read(reader: &mut Reader<'_>, currency: Currency) -> Option<ZvtSettings> {
        let password = read_password(reader);
        let connection =
            reader.choice("connection", &[("keep", Connection::Keep), ("per-payment", Connection::PerPayment)]);
        let keypad = reader.choice("keypad", &[("locked", Keypad::Locked), ("open", Keypad::Open)]);
        let receipts = reader.choice("receipts", &[("terminal", Receipts::Terminal), ("router", Receipts::Router)]);
        Some(ZvtSettings { password: password?, connection, keypad, receipts, currency })
    }

    /// The config byte of the registration. Intermediate status is always wanted: without it the line is silent for minutes.
    pub fn config_byte(&self, keypad: Keypad) -> u8 {
        let keypad = match keypad {
            Keypad::Locked => config_byte::NO_PAYMENT_BY_KEYPAD | config_byte::NO_ADMINISTRATION_BY_KEYPAD,
            Keypad::Open => 0,
        };
        let receipts = match self.receipts {
            Receipts::Terminal => 0,
            Receipts::Router => {
                config_byte::PAYMENT_RECEIPTS_BY_ECR
                    | config_byte::ADMINISTRATION_RECEIPTS_BY_ECR
                    | config_byte::PRINT_COMMANDS
            }
        };
        config_byte::INTERMEDIATE_STATUS | keypad | receipts
    }

    /// The service byte of the registration: a locked keypad has no service menu either.
    pub fn service_byte(keypad: Keypad) -> u8 {
        match keypad {
            Keypad::Locked => service_byte::NO_SERVICE_MENU,
            Keypad::Open => 0,
        }
    }
}

fn read_address(reader: &mut Reader<'_>) -> Option<String> {
    let remedy = "write the terminal's address, and its port if that is not 20007: address = \"192.168.1.100:20007\"";
    let text: String = reader.required("address", remedy)?;
    let address = with_port(text.trim());
    if address.is_none() {
        reader.fault("address", format!("{text:?} is no address"), remedy);
    }
    address
}

fn read_tls(reader: &mut Reader<'_>, base_dir: &Path) -> Option<TlsSettings> {
    let wanted = reader.optional::<bool>("tls").unwrap_or(false);
    let ca = reader.optional::<PathBuf>("ca").map(|file| base_dir.join(file));
    let server_name = reader.optional::<String>("server_name");
    for (key, is_there) in [("ca", ca.is_some()), ("server_name", server_name.is_some())] {
        if is_there && !wanted {
            reader.fault(key, format!("`{key}` says nothing without encryption"), "add tls = true, or remove it");
        }
    }
    wanted.then_some(TlsSettings { ca, server_name })
}

/// Host and port; an IPv6 address needs brackets when a port follows it.
fn with_port(text: &str) -> Option<String> {
    let bare_ipv6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match text.rsplit_once(':') {
        _ if bare_ipv6 => (format!("[{text}]"), DEFAULT_PORT),
        Some((host, port)) if !text.ends_with(']') => (host.to_owned(), port.parse().ok().filter(|port| *port != 0)?),
        _ => (text.to_owned(), DEFAULT_PORT),
    };
    is_host(&host).then(|| format!("{host}:{port}"))
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
    }
}

/// Devices are named by absolute paths: what a relative one counts from would differ between a service and a shell.
fn read_device(reader: &mut Reader<'_>) -> Option<String> {
    let remedy = "write the path of the serial device: device = \"/dev/ttyUSB0\", or a name below /dev/serial/by-id";
    let text: String = reader.required("device", remedy)?;
    let is_device = std::path::Path::new(&text).is_absolute() || (cfg!(windows) && text.starts_with("COM"));
    if !is_device {
        reader.fault("device", format!("{text:?} is no absolute path"), remedy);
    }
    is_device.then_some(text)
}

fn read_baud_rate(reader: &mut Reader<'_>) -> u32 {
    let baud_rate = reader.optional("baud_rate").unwrap_or(DEFAULT_BAUD_RATE);
    if !BAUD_RATES.contains(&baud_rate) {
        let rates: Vec<String> = BAUD_RATES.iter().map(u32::to_string).collect();
        let remedy = format!("write what the terminal is set to, one of: {}", rates.join(", "));
        reader.fault("baud_rate", format!("{baud_rate} is no speed of a serial line"), remedy);
    }
    baud_rate
}

fn read_stop_bits(reader: &mut Reader<'_>) -> StopBits {
    match reader.optional("stop_bits").unwrap_or(2) {
        1 => StopBits::One,
        2 => StopBits::Two,
        other => {
            reader.fault("stop_bits", format!("{other} stop bits"), "write 1 or 2; without the line it is 2");
            StopBits::Two
        }
    }
}

fn read_password(reader: &mut Reader<'_>) -> Option<Password> {
    let text = reader.optional::<String>("password").unwrap_or_else(|| DEFAULT_PASSWORD.to_owned());
    let six_digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let password = Password::new(&text).ok().filter(|_| six_digits);
    if password.is_none() {
        reader.fault("password", "not six digits", "write the terminal's password, often \"000000\" or \"123456\"");
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_port() {
        for (text, expected) in [
            ("192.168.1.100", Some("192.168.1.100:20007")),
            ("192.168.1.100:22000", Some("192.168.1.100:22000")),
            ("terminal-1.shop", Some("terminal-1.shop:20007")),
            ("::1", Some("[::1]:20007")),
            ("[::1]", Some("[::1]:20007")),
            ("[::1]:5577", Some("[::1]:5577")),
            ("", None),
            ("192.168.1.100:", None),
            ("192.168.1.100:0", None),
            ("192.168.1.100:99999", None),
            ("http://192.168.1.100", None),
            ("[x]:5", None),
        ] {
            assert_eq!(with_port(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn every_fault_at_once() {
        let settings =
            Settings::new("counter").with("address", "http://x").with("password", "12345").with("keypad", "shut");
        let faults = TcpSettings::read(&settings.with("ca", "terminal.pem").with("tsl", true)).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["address", "ca", "password", "keypad", "tsl"]);
    }

    #[test]
    fn a_serial_line_has_the_settings_of_the_standard() {
        let settings = SerialSettings::read(&Settings::new("bar").with("device", "/dev/ttyUSB0")).unwrap();
        assert_eq!(settings.device, "/dev/ttyUSB0");
        let standard = LineSettings { baud_rate: 9600, parity: Parity::None, stop_bits: StopBits::Two };
        assert_eq!(settings.line, standard);
        let other = Settings::new("bar").with("device", "/dev/serial/by-id/usb-FTDI-if00").with("baud_rate", 115_200);
        let other = SerialSettings::read(&other.with("parity", "even").with("stop_bits", 1)).unwrap();
        let line = LineSettings { baud_rate: 115_200, parity: Parity::Even, stop_bits: StopBits::One };
        assert_eq!(other.line, line);
    }

    #[test]
    fn every_fault_of_a_serial_line_at_once() {
        let settings = Settings::new("bar").with("device", "ttyUSB0").with("baud_rate", 96000).with("parity", "mark");
        let faults = SerialSettings::read(&settings.with("stop_bits", 3).with("address", "x")).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["device", "baud_rate", "parity", "stop_bits", "address"]);
        let missing = SerialSettings::read(&Settings::new("bar")).unwrap_err();
        assert!(missing[0].remedy.contains("/dev/serial/by-id"), "{}", missing[0]);
    }

    #[test]
    fn config_bytes_follow_the_standard() {
        fn check(keypad: &str, receipts: &str, expected: u8) {
            let settings = Settings::new("counter").with("address", "x").with("keypad", keypad);
            let settings = TcpSettings::read(&settings.with("receipts", receipts)).unwrap().zvt;
            assert_eq!(settings.config_byte(settings.keypad), expected, "{keypad} {receipts}");
        }
        check("locked", "terminal", 0x38);
        check("locked", "router", 0xBE);
        check("open", "terminal", 0x08);
        check("open", "router", 0x8E);
    }
}
