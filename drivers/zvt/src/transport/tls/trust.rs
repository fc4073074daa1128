//! Which PT is believed to be the one that is configured, and what to tell whoever must repair that.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tillswitch_core::{Cause, Reason, SettingsError};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

const CA_REMEDY: &str =
    "save the terminal's certificate, or that of its issuer, as a PEM file and name that: ca = \"terminal.pem\"";

/// A configuration that believes the certificates in this file, or without one what this machine believes.
pub(super) fn client_config(ca: Option<&Path>) -> Result<ClientConfig, SettingsError> {
    let provider = Arc::new(ring::default_provider());
    let pinned = ca.map(certificates).transpose()?.unwrap_or_default();
    let mut roots = RootCertStore::empty();
    match ca {
        Some(_) => roots.add_parsable_certificates(pinned.iter().cloned()),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let issuers = verifier.build().map_err(|error| match ca {
        Some(file) => SettingsError::new("ca", format!("{}: {error}", file.display()), CA_REMEDY),
        None => SettingsError::new("tls", "this machine trusts no certificates at all", CA_REMEDY),
    })?;
    let verifier = Arc::new(PinnedOrIssued { pinned, issuers });
    Ok(with_verifier(provider, verifier))
}

fn with_verifier(provider: Arc<CryptoProvider>, verifier: Arc<PinnedOrIssued>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("ring serves the default versions of TLS");
    builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let fault = |what: String| SettingsError::new("ca", format!("{}: {what}", file.display()), CA_REMEDY);
    let read = CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| fault(error.to_string()))?;
    if found.is_empty() { Err(fault("there is no certificate in it".into())) } else { Ok(found) }
}

/// Believes a certificate that somebody has put into `ca` as it is, and what one of those there has issued.
///
/// Terminals make their own certificates, for no name, for decades, and often with the marks of an issuer, none of which the
/// usual check lets pass. Whoever holds its key is the terminal all the same.
#[derive(Debug)]
struct PinnedOrIssued {
    pinned: Vec<CertificateDer<'static>>,
    issuers: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for PinnedOrIssued {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|pinned| pinned == certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        self.issuers.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.issuers.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.issuers.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issuers.supported_verify_schemes()
    }
}

/// Why there is no encrypted line, as the error of a connector carries it.
#[derive(Debug)]
pub(crate) struct Mistrust(pub Reason);

impl fmt::Display for Mistrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Mistrust {}

/// A failed handshake, with what to do about it.
pub(super) fn explained(error: io::Error, address: &str, name: &ServerName<'_>) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (cause, sentence) = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => {
            (Cause::Unreachable, format!("the terminal at {address} is not trusted: {}", mistrusted(why, name)))
        }
        Some(rustls::Error::InvalidMessage(_)) => (Cause::Garbage, no_tls(address)),
        Some(rustls::Error::PeerIncompatible(why)) => {
            let remedy = "it needs TLS 1.2 or later: update the terminal, or do without tls = true";
            (
                Cause::Unreachable,
                format!("the terminal at {address} knows no TLS that is still safe ({why:?}); {remedy}"),
            )
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            let remedy = "does it want a certificate of ours, or a later TLS? Ask whoever runs the terminal";
            (Cause::Unreachable, format!("the terminal at {address} refused to encrypt ({alert:?}); {remedy}"))
        }
        Some(other) => (Cause::Unreachable, format!("no encryption with {address}: {other}")),
        None if is_hung_up(&error) => (Cause::Garbage, no_tls(address)),
        None => return error,
    };
    io::Error::other(Mistrust(Reason::new(cause, sentence)))
}

/// Whoever does not understand a greeting hangs up.
fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

fn no_tls(address: &str) -> String {
    format!("what listens at {address} does not speak TLS; is this the encrypted port? If not, remove tls = true")
}

fn mistrusted(why: &CertificateError, name: &ServerName<'_>) -> String {
    use CertificateError as E;
    match why {
        E::UnknownIssuer | E::BadSignature => format!("nobody known has issued its certificate; {CA_REMEDY}"),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            let name = name.to_str();
            format!(
                "its certificate is not for {name:?}; write a name that it is for: server_name = \"…\", or {CA_REMEDY}"
            )
        }
        E::Expired | E::ExpiredContext { .. } => {
            format!("its certificate has expired; renew it, look at this machine's clock, or {CA_REMEDY}")
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "its certificate is not valid yet; look at the clocks of this machine and of the terminal".into()
        }
        // What `openssl req -x509` makes is an issuer's certificate, which no server may show.
        E::Other(_) => format!("it made its certificate itself, or that is none for a server; {CA_REMEDY}"),
        other => format!("its certificate is faulty ({other}); {CA_REMEDY}"),
    }
}
