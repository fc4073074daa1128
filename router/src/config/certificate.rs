//! The certificate that the public listener shows: read from its files, checked, with the day on which it ends.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};

use super::der;

/// A chain of certificates and the key that belongs to the first of them. Shows neither.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
}

/// What is wrong with one of the two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The certificate's file, and what to do.
    Certificate(String, &'static str),
    /// The key's file, and what to do.
    Key(String, &'static str),
}

const CHAIN: &str = "name the PEM file with the whole chain, your own certificate first (often fullchain.pem)";
const KEY: &str = "name the PEM file with the certificate's private key, without a passphrase (often privkey.pem)";
const PAIR: &str = "name a certificate and the key that it was issued for; both are replaced together";

impl Certificate {
    /// Reads both files. Whether the certificate has ended is left to the caller.
    ///
    /// # Errors
    /// When a file cannot be read, holds something else, or the two do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Certificate, Unfit> {
        let chain = read_chain(certificate).map_err(|message| Unfit::Certificate(message, CHAIN))?;
        let not_after = chain.first().and_then(|own| der::not_after(own)).ok_or_else(|| {
            Unfit::Certificate(format!("{} holds no certificate that can be read", certificate.display()), CHAIN)
        })?;
        let private = read_key(key).map_err(|message| Unfit::Key(message, KEY))?;
        match CertifiedKey::from_der(chain, private, &ring::default_provider()) {
            Ok(both) => Ok(Certificate { key: Arc::new(both), not_after }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                let message = format!("the key in {} does not fit the certificate", key.display());
                Err(Unfit::Key(message, PAIR))
            }
            Err(Error::InvalidCertificate(error)) => {
                Err(Unfit::Certificate(format!("{}: {error:?}", certificate.display()), CHAIN))
            }
            Err(error) => Err(Unfit::Key(format!("{}: {error}", key.display()), KEY)),
        }
    }

    /// The last moment at which clients accept it.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether clients refuse it by now.
    pub fn has_ended(&self) -> bool {
        self.not_after < Timestamp::now()
    }

    /// What shakes hands with it.
    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unfit::Certificate(message, remedy) | Unfit::Key(message, remedy)) = self;
        write!(f, "{message}; {remedy}")
    }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read_file(file)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{} is no PEM file: {error}", file.display()))?;
    match chain.is_empty() {
        true => Err(format!("{} holds no certificate", file.display())),
        false => Ok(chain),
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    // The error's text is not shown on: what cannot be read here may be a piece of the key.
    PrivateKeyDer::from_pem_slice(&read_file(file)?).map_err(|error| match error {
        PemError::NoItemsFound => format!("{} holds no private key", file.display()),
        _ => format!("{} is no PEM file", file.display()),
    })
}

fn read_file(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}
