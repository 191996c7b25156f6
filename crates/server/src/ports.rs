//! Opening listening sockets, with an answer for people when one cannot be opened.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
};

use tokio::net::TcpListener;

use crate::StartError;

/// The sockets of one port, one for each address.
pub struct Bound {
    /// The sockets.
    pub listeners: Vec<TcpListener>,
    /// The port, chosen by the system where 0 was asked for.
    pub port: u16,
    /// Why it is not the usual port, if it is not.
    pub instead: Option<String>,
}

/// Opens `wanted` on every address. Where no port was asked for and the usual one cannot be had, `fallback` is opened instead.
pub async fn bind(addresses: &[IpAddr], wanted: Option<u16>, usual: u16, fallback: u16) -> Result<Bound, StartError> {
    let port = wanted.unwrap_or(usual);
    match bind_all(addresses, port).await {
        Ok((listeners, port)) => Ok(Bound { listeners, port, instead: None }),
        Err(error) if wanted.is_none() && fallback != usual => {
            let why = match error.kind() {
                ErrorKind::PermissionDenied => "this user may not open ports below 1024".to_owned(),
                ErrorKind::AddrInUse => "another program has it".to_owned(),
                _ => error.to_string(),
            };
            let (listeners, port) = bind_all(addresses, fallback).await.map_err(|error| unavailable(fallback, &error))?;
            Ok(Bound { listeners, port, instead: Some(format!("port {port} instead of {usual}: {why}")) })
        }
        Err(error) => Err(unavailable(port, &error)),
    }
}

async fn bind_all(addresses: &[IpAddr], port: u16) -> std::io::Result<(Vec<TcpListener>, u16)> {
    let (mut listeners, mut port) = (Vec::new(), port);
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(*address, port)).await {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // Machines without IPv6 are served on IPv4 alone.
            Err(error) if address.is_ipv6() && !listeners.is_empty() && error.kind() == ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(error),
        }
    }
    Ok((listeners, port))
}

fn unavailable(port: u16, error: &std::io::Error) -> StartError {
    let next = match error.kind() {
        ErrorKind::PermissionDenied => "Ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another port otherwise.",
        ErrorKind::AddrInUse => "Stop the program that has it, or choose another port.",
        _ => "Check --bind: it must be an address of this machine.",
    };
    StartError::new(format!("port {port} cannot be opened: {error}"), next)
}
