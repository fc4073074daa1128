//! Is the webhook answered over https, with a certificate that a reload replaces?

use std::path::Path;
use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use tillswitch::shop::Plan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::desk::{metric, order};
use crate::harness::*;
use crate::reload::reload;

const END: &str = "tillswitch_tls_certificate_not_after_timestamp_seconds{listener=\"public\"}";

fn encrypted(folder: &Path) -> Plan {
    renew(folder);
    one_register(quick(folder, "counter")).server_lines("tls = { certificate = \"chain.pem\", key = \"key.pem\" }")
}

fn renew(folder: &Path) {
    let made = generate_simple_self_signed(vec!["till.example".to_owned()]).unwrap();
    std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// Sends a webhook over https, believing only the certificate in that file. The answer as it came.
async fn send(scene: &Scene, believed: &[u8], body: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(believed).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(scene.app.public).await?;
    let name = ServerName::try_from("till.example").unwrap();
    let mut client = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    let head = "POST /webhook/pos-payment HTTP/1.1\r\nHost: till.example\r\nConnection: close\r\nContent-Length:";
    client.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_sale_is_paid_over_https_and_a_reload_brings_the_new_certificate() {
    let scene = Scene::open(encrypted).await;
    let chain = || std::fs::read(scene.folder().join("chain.pem")).unwrap();
    let first = chain();
    let answer = send(&scene, &first, &String::from(sale("25.90", "1"))).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"success\""), "{answer}");
    assert!(metric(&scene, END).await.unwrap() > 4e9, "the certificate ends in 4096");

    renew(scene.folder());
    assert_eq!(reload(&scene).await["needs_restart"], serde_json::json!([]));
    assert!(
        send(&scene, &first, &String::from(sale("1.00", "2"))).await.is_err(),
        "the old certificate is still shown"
    );
    let answer = send(&scene, &chain(), &String::from(sale("1.00", "2"))).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    // A broken one is refused, and the one before goes on.
    let good = chain();
    std::fs::write(scene.folder().join("chain.pem"), "-----BEGIN NOTHING-----").unwrap();
    let refused = order(&scene, "reload").await;
    assert!(refused.status >= 400 && refused.text.contains("chain.pem"), "{}", refused.text);
    let answer = send(&scene, &good, &String::from(sale("2.00", "3"))).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(scene.booked("counter"), [2590, 100, 200]);
    scene.close().await;
}
