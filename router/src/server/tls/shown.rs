//! Which certificate are clients shown, and when is another one taken over?

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::config::{Certificate, Https};
use crate::metrics::Metrics;

/// The certificate for the next handshake. Connections that are open keep the one they began with.
pub struct Shown {
    current: ArcSwap<CertifiedKey>,
    metrics: Metrics,
}

impl Shown {
    /// Begins with this one.
    pub fn new(certificate: &Certificate, metrics: Metrics) -> Arc<Shown> {
        let shown = Shown { current: ArcSwap::new(certificate.certified_key()), metrics };
        shown.show(certificate);
        Arc::new(shown)
    }

    /// Shows this one from now on.
    pub fn show(&self, certificate: &Certificate) {
        self.current.store(certificate.certified_key());
        self.metrics.certificate_shown(certificate.not_after());
        if certificate.has_ended() {
            tracing::error!(
                not_after = %certificate.not_after(),
                "the certificate has ended, and the point of sale will not connect; renew it"
            );
        }
    }

    /// Reads the files again. What is wrong with them changes nothing for the clients.
    fn read_again(&self, files: &Https) {
        match Certificate::read(&files.certificate_file, &files.key_file) {
            Ok(certificate) => {
                self.show(&certificate);
                tracing::info!(not_after = %certificate.not_after(), "the certificate's files have changed and are in use");
            }
            Err(unfit) => {
                self.metrics.certificate_refused();
                tracing::error!("the certificate's files have changed and are not used, the old ones are: {unfit}");
            }
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// Notices that the files have changed.
#[derive(Debug, Default)]
pub struct Watch {
    last: Option<Stamps>,
    /// What the last reading was of, whatever became of it.
    read: Option<Stamps>,
}

/// When both files were changed last, and how long they are.
type Stamps = [Option<(SystemTime, u64)>; 2];

impl Watch {
    /// Looks once. Files that look as they did the last time, but not as they did when they were read, are read: a
    /// certificate and its key are two files, and between the two changes they do not fit.
    pub fn look(&mut self, files: &Https, shown: &Shown) {
        let now = [stamp(&files.certificate_file), stamp(&files.key_file)];
        let before = self.last.replace(now);
        let read = *self.read.get_or_insert(now);
        if before == Some(now) && read != now {
            self.read = Some(now);
            shown.read_again(files);
        }
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
