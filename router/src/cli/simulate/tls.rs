//! How is the port of a simulated terminal encrypted?

use std::path::{Path, PathBuf};

use tillswitch_zvt::simulator::Encryption;

/// What a terminal with an encrypted port takes.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct TlsArgs {
    /// Encrypt its port: its certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The key of that certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The certificate and its key, if the port is to be encrypted.
    pub fn encryption(&self) -> Result<Option<Encryption>, String> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let read = |file: &Path| std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
        let encryption = Encryption::from_pem(&read(certificate)?, &read(key)?);
        encryption.map(Some).map_err(|error| {
            format!("{} and {} are no certificate and its key: {error}", certificate.display(), key.display())
        })
    }

    /// What the terminal's table in a configuration needs besides.
    pub fn settings(&self) -> String {
        let certificate = self.tls_certificate.as_ref();
        certificate.map_or_else(String::new, |file| format!(", tls = true, ca = {:?}", file.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        tls: TlsArgs,
    }

    #[test]
    fn a_port_is_encrypted_with_a_certificate_and_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, pem: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = file("certificate.pem", made.cert.pem());
        let (key, other) = (made.signing_key.serialize_pem(), rcgen::KeyPair::generate().unwrap().serialize_pem());
        let (key, other) = (file("key.pem", key), file("other.pem", other));
        let encrypted = |certificate: &str, key: &str| {
            let line = ["zvt-tcp", "--tls-certificate", certificate, "--tls-key", key];
            let args = Line::try_parse_from(line).unwrap().tls;
            (args.encryption(), args.settings())
        };
        let (encryption, settings) = encrypted(&certificate, &key);
        assert!(encryption.unwrap().is_some() && settings.ends_with("certificate.pem\""), "{settings}");
        for (certificate, key, told) in [
            (&certificate, &other, "no certificate and its key"),
            (&key, &key, "no certificate"),
            (&certificate, &"gone".to_owned(), "gone: "),
        ] {
            let refused = encrypted(certificate, key).0.unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
        let alone = Line::try_parse_from(["zvt-tcp", "--tls-key", &key]).unwrap_err();
        assert!(alone.to_string().contains("--tls-certificate"), "{alone}");
        assert!(Line::try_parse_from(["zvt-tcp"]).unwrap().tls.encryption().unwrap().is_none());
    }
}
