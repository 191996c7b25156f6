//! A small server of a fixed behaviour, over TLS for `localhost` under a root of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What a server does with each connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Behaviour {
    /// Answers every request with this status line and a body of so many bytes.
    Answer(&'static str, usize),
    /// Answers one request, as if to keep the connection, and closes it.
    AnswerOnceThenClose,
    /// Promises a body and closes within it.
    CloseInBody,
    /// Sends chunks without end.
    EndlessChunks,
    /// Sends a byte of the body every 50 ms.
    Trickle,
    /// Reads and never answers.
    Hang,
    /// Accepts the connection and never speaks TLS.
    NoHandshake,
    /// Answers without TLS.
    Plain,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    head: Mutex<String>,
}

/// The running server.
pub struct Bed {
    port: u16,
    root: CertificateDer<'static>,
    seen: Arc<Seen>,
}

impl Bed {
    pub async fn start(behaviour: Behaviour) -> Self {
        let (root, tls) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let (acceptor, witness) = (TlsAcceptor::from(Arc::new(tls)), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                witness.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(receive(behaviour, acceptor.clone(), socket, Arc::clone(&witness)));
            }
        });
        Self { port, root, seen }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/api?code=hidden", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    pub fn last_head(&self) -> String {
        self.seen.head.lock().unwrap().clone()
    }
}

async fn receive(behaviour: Behaviour, acceptor: TlsAcceptor, socket: TcpStream, seen: Arc<Seen>) {
    match behaviour {
        Behaviour::NoHandshake => std::future::pending().await,
        Behaviour::Plain => serve(behaviour, socket, &seen).await,
        _ => {
            if let Ok(stream) = acceptor.accept(socket).await {
                serve(behaviour, stream, &seen).await;
            }
        }
    }
}

async fn serve(behaviour: Behaviour, mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen) {
    while let Some(head) = read_head(&mut stream).await {
        *seen.head.lock().unwrap() = head;
        match behaviour {
            Behaviour::Answer(status, length) => {
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Behaviour::Plain => drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await),
            Behaviour::AnswerOnceThenClose => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
                return;
            }
            Behaviour::CloseInBody => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nxx").await;
                return;
            }
            Behaviour::EndlessChunks => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                while stream.write_all(b"4\r\nxxxx\r\n").await.is_ok() {}
            }
            Behaviour::Trickle => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
                while stream.write_all(b"x").await.is_ok() {
                    let _ = stream.flush().await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Behaviour::Hang | Behaviour::NoHandshake => std::future::pending().await,
        }
        let _ = stream.flush().await;
    }
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).to_ascii_lowercase().replacen("get", "GET", 1).replacen("http/1.1", "HTTP/1.1", 1))
}

fn identity() -> (CertificateDer<'static>, ServerConfig) {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (root.der().clone(), config)
}
