//! `server.tls`: the files of the certificate that the public listener shows.

use std::path::{Path, PathBuf};

use super::certificate::{Certificate, Unfit};
use super::scope::Scope;
use super::secret;

/// A certificate, its key, and where both lie.
#[derive(Clone, Debug)]
pub struct Https {
    /// The PEM file of the chain, the listener's own certificate first.
    pub certificate_file: PathBuf,
    /// The PEM file of its private key.
    pub key_file: PathBuf,
    /// What was read from them.
    pub certificate: Certificate,
}

const FORM: &str = "write tls = { certificate = \"fullchain.pem\", key = \"privkey.pem\" }";

/// Reads the table, if it is there, and both files.
pub(super) fn read(server: &mut Scope<'_>, base_dir: &Path) -> Option<Https> {
    if !server.has("tls") {
        // Asked for all the same, so that a misspelt key is told of it.
        server.value("tls");
        return None;
    }
    let mut scope = server.section("tls");
    let certificate = scope.required_text("certificate", FORM);
    let key = scope.required_text("key", FORM);
    let files = certificate.zip(key).map(|(certificate, key)| (base_dir.join(certificate), base_dir.join(key)));
    let https = files.and_then(|(certificate, key)| examine(&scope, certificate, key));
    scope.finish();
    https
}

fn examine(scope: &Scope<'_>, certificate_file: PathBuf, key_file: PathBuf) -> Option<Https> {
    match Certificate::read(&certificate_file, &key_file) {
        Ok(certificate) => {
            warn(scope, &certificate, &key_file);
            Some(Https { certificate_file, key_file, certificate })
        }
        Err(Unfit::Certificate(message, remedy)) => {
            scope.fault("certificate", message, remedy);
            None
        }
        Err(Unfit::Key(message, remedy)) => {
            scope.fault("key", message, remedy);
            None
        }
    }
}

/// A certificate that has ended is no fault: a router that does not start also resolves no payment in doubt, and whoever
/// stands in front of it may not look at the date.
fn warn(scope: &Scope<'_>, certificate: &Certificate, key_file: &Path) {
    if certificate.has_ended() {
        let message = format!("the certificate has ended on {}", certificate.not_after());
        scope.warning("certificate", message, "renew it: the point of sale does not connect until then");
    }
    if secret::open_to_others(key_file).is_some() {
        let message = format!("{} can be read by other users", key_file.display());
        scope.warning("key", message, format!("chmod 600 {}", key_file.display()));
    }
}
