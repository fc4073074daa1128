//! How the drivers are made from their settings.

use tillswitch_core::{DriverFactory, Identity, Settings, SettingsError, TerminalDriver};

use crate::driver::ZvtDriver;
use crate::settings::{SerialSettings, TcpSettings, ZvtSettings};
use crate::timing::Timing;
use crate::transport::Transport;
use crate::transport::serial::SerialTransport;
use crate::transport::tcp::TcpTransport;
use crate::transport::tls::Tls;

/// Makes drivers for ZVT terminals on TCP: `driver = "zvt-tcp"`.
///
/// ```
/// use tillswitch_core::{DriverFactory, Settings};
/// use tillswitch_zvt::ZvtTcpFactory;
///
/// let settings = Settings::new("counter").with("address", "192.168.1.100");
/// let factory = ZvtTcpFactory::default();
/// assert_eq!(factory.identity(&settings).address, "192.168.1.100:20007");
/// assert!(factory.build(&settings).is_ok());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ZvtTcpFactory {
    /// The timers of every driver that is made here.
    pub timing: Timing,
}

impl DriverFactory for ZvtTcpFactory {
    fn name(&self) -> &str {
        "zvt-tcp"
    }

    fn description(&self) -> &str {
        "ZVT terminals on TCP, port 20007: CCV, Ingenico, Verifone, Worldline, card complete and others"
    }

    fn identity(&self, settings: &Settings) -> Identity {
        let address = TcpSettings::read(settings).map(|settings| settings.address).unwrap_or_default();
        Identity { address, ..Identity::default() }
    }

    fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let settings = TcpSettings::read(settings)?;
        let transport = self.line(&settings).map_err(|fault| vec![fault])?;
        Ok(Box::new(ZvtDriver::new(Box::new(transport), settings.zvt, self.timing.clone())))
    }
}

/// Makes drivers for ZVT terminals on a serial line, or on USB in serial mode: `driver = "zvt-serial"`.
///
/// ```
/// use tillswitch_core::{DriverFactory, Settings};
/// use tillswitch_zvt::ZvtSerialFactory;
///
/// let settings = Settings::new("bar").with("device", "/dev/ttyUSB0");
/// let factory = ZvtSerialFactory::default();
/// assert_eq!(factory.identity(&settings).address, "/dev/ttyUSB0");
/// assert!(factory.build(&settings).is_ok());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ZvtSerialFactory {
    /// The timers of every driver that is made here. What waits for the PT's next message waits for its repetitions besides.
    pub timing: Timing,
}

impl DriverFactory for ZvtSerialFactory {
    fn name(&self) -> &str {
        "zvt-serial"
    }

    fn description(&self) -> &str {
        "ZVT terminals on a serial line, or on USB in serial mode"
    }

    fn identity(&self, settings: &Settings) -> Identity {
        let address = SerialSettings::read(settings).map(|settings| settings.device).unwrap_or_default();
        Identity { address, ..Identity::default() }
    }

    fn build(&self, settings: &Settings) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
        let settings = SerialSettings::read(settings)?;
        let transport = SerialTransport::new(settings.device, settings.line, &self.timing);
        Ok(Box::new(ZvtDriver::new(Box::new(transport), settings.zvt, self.timing.with_repetitions())))
    }
}

/// A driver over any line to a PT, with the settings that all lines share (password, keypad, receipts, connection).
///
/// # Errors
/// All faults of the settings.
pub fn driver_over(
    transport: Box<dyn Transport>,
    settings: &Settings,
    timing: Timing,
) -> Result<Box<dyn TerminalDriver>, Vec<SettingsError>> {
    let settings = ZvtSettings::alone(settings)?;
    Ok(Box::new(ZvtDriver::new(transport, settings, timing)))
}

impl ZvtTcpFactory {
    /// The line to a terminal, closed.
    fn line(&self, settings: &TcpSettings) -> Result<TcpTransport, SettingsError> {
        let (address, connect, answer) = (settings.address.clone(), self.timing.connect, self.timing.answer);
        match &settings.tls {
            None => Ok(TcpTransport::new(address, connect, answer)),
            Some(tls) => {
                let tls = Tls::new(&address, tls)?;
                // Small terminals take their time over a handshake: it may last as long as an answer.
                Ok(TcpTransport::over(Box::new(tls), address, connect + answer, answer))
            }
        }
    }
}
