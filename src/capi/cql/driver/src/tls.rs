//! TLS by the system's OpenSSL.

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::{X509StoreContextRef, X509VerifyResult, X509};
use scylla::client::session::OpenSsl010Config;

use crate::failure::{Code, Failure};
use crate::Config;

/// X509_V_ERR_IP_ADDRESS_MISMATCH
const WRONG_ADDRESS: i32 = 64;

/// The driver connects to addresses and asks for the address in the certificate. A certificate for
/// the name of a contact point is good too.
fn names_a_contact_point(store: &X509StoreContextRef, names: &[String]) -> bool {
    let Some(alternatives) = store
        .current_cert()
        .and_then(|leaf| leaf.subject_alt_names())
    else {
        return false;
    };
    alternatives
        .iter()
        .filter_map(|alternative| alternative.dnsname())
        .any(|dns| names.iter().any(|name| name.eq_ignore_ascii_case(dns)))
}

fn file(what: &str, path: &str, result: Result<(), ErrorStack>) -> Result<(), Failure> {
    result.map_err(|error| {
        Failure::new(
            Code::BadConfiguration,
            format!("{what} {path} cannot be used: {error}"),
        )
    })
}

/// Only these are trusted then, not the system's.
fn roots_of(path: &str) -> Result<X509Store, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificates = X509::stack_from_pem(&pem).map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is no certificate in it".to_string());
    }
    let mut store = X509StoreBuilder::new().map_err(|error| error.to_string())?;
    for certificate in certificates {
        store
            .add_cert(certificate)
            .map_err(|error| error.to_string())?;
    }
    Ok(store.build())
}

/// # Safety
/// The texts of the configuration must be valid.
pub unsafe fn context(config: &Config, hosts: &[String]) -> Result<OpenSsl010Config, Failure> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())
        .map_err(|error| Failure::new(Code::BadConfiguration, error))?;
    let certificate = config.certificate_path.to_text();
    if !certificate.is_empty() {
        file(
            "certificate",
            &certificate,
            builder.set_certificate_chain_file(&certificate),
        )?;
    }
    let key = config.key_path.to_text();
    if !key.is_empty() {
        file(
            "key",
            &key,
            builder.set_private_key_file(&key, SslFiletype::PEM),
        )?;
    }
    let roots = config.ca_path.to_text();
    if !roots.is_empty() {
        let store = roots_of(&roots).map_err(|error| {
            Failure::new(
                Code::BadConfiguration,
                format!("CA file {roots} cannot be used: {error}"),
            )
        })?;
        builder.set_cert_store(store);
    }

    let verify_host = config.verify_host;
    if roots.is_empty() && !verify_host {
        builder.set_verify(SslVerifyMode::NONE);
        return Ok(OpenSsl010Config::new(builder));
    }
    let names: Vec<String> = hosts
        .iter()
        .filter_map(|host| host.rsplit_once(':'))
        .map(|(name, _)| name.to_string())
        .collect();
    builder.set_verify_callback(SslVerifyMode::PEER, move |ok, store| {
        if ok || store.error().as_raw() != WRONG_ADDRESS {
            return ok;
        }
        if !verify_host || names_a_contact_point(store, &names) {
            store.set_error(X509VerifyResult::OK);
            return true;
        }
        false
    });
    Ok(OpenSsl010Config::new(builder))
}
