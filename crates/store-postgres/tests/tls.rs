//! TLS to the database: a certificate that is trusted and names the host is taken, any other is not.

#![allow(clippy::unwrap_used)]

mod server;

use server::Postgres;
use usher_store::{Store, conformance};
use usher_store_postgres::{OpenError, Options, PostgresStore};

#[tokio::test]
async fn the_databases_certificate_is_checked() {
    let mut server = Postgres::start("tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let roots = server.folder().join("roots.pem");
    std::fs::write(&roots, made.cert.pem()).unwrap();
    server.kill();
    server.with_tls(&made.cert.pem(), &made.signing_key.serialize_pem());
    server.again();
    let address = |host: &str, options: &str| format!("postgres://usher@{host}:{}/usher?{options}", server.port());
    let trusting = format!("sslmode=verify-full&sslrootcert={}", roots.display());
    let store = PostgresStore::open(&address("localhost", &trusting), &Options::default()).await.unwrap();
    assert_eq!(store.get(&conformance::key("none")).await, Ok(None));
    for refused in [address("127.0.0.1", &trusting), address("localhost", "sslmode=require"), address("localhost", "")] {
        let Err(error) = PostgresStore::open(&refused, &Options::default()).await else { panic!("{refused} opens") };
        assert!(matches!(&error, OpenError::Unreachable(why) if why.contains("certificate")), "{error}");
    }
}
