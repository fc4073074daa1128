//! THE list of built-in drivers, one line each.

use tillswitch_core::DriverRegistry;

/// The drivers that come with the program.
pub fn builtin() -> DriverRegistry {
    let mut registry = DriverRegistry::new();
    registry.register(tillswitch_http::HttpFactory);
    registry.register(tillswitch_zvt::ZvtSerialFactory::default());
    registry.register(tillswitch_zvt::ZvtTcpFactory::default());
    registry
}
