//! The PROXY protocol, versions 1 and 2 (haproxy: doc/proxy-protocol.txt): how a load balancer that passes on TCP says whose connection
//! it is.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest header of version 1, in bytes, with its line end (section 2.1).
const LINE_MAX: usize = 107;
/// Fixed part of version 2, in bytes, of which the last two are the length of the rest (section 2.2).
const FIXED: usize = 16;
/// Longest rest of version 2 that is read, in bytes: addresses and some extensions. HAProxy's own limit is of this size.
const REST_MAX: usize = 2048;

/// Reads the header, and not a byte more. `None` is a load balancer that speaks for itself.
///
/// # Errors
/// `UnexpectedEof` where the connection ends first, `InvalidData` where it is no such header.
pub async fn client(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![stream.read_u8().await?];
    if header.first() == Some(&b'P') {
        line(stream, header).await
    } else {
        header.resize(FIXED, 0);
        binary(stream, header).await
    }
}

async fn line(stream: &mut (impl AsyncRead + Unpin), mut header: Vec<u8>) -> io::Result<Option<SocketAddr>> {
    while !header.ends_with(b"\r\n") {
        if header.len() == LINE_MAX {
            return Err(invalid("the line of version 1 does not end"));
        }
        header.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(header.as_slice()).map_err(|error| invalid(&format!("version 1: {error}")))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(addresses) => Some((IpAddr::from(addresses.source_address), addresses.source_port).into()),
        v1::Addresses::Tcp6(addresses) => Some((IpAddr::from(addresses.source_address), addresses.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

async fn binary(stream: &mut (impl AsyncRead + Unpin), mut header: Vec<u8>) -> io::Result<Option<SocketAddr>> {
    stream.read_exact(header.get_mut(1..).unwrap_or_default()).await?;
    let rest = match header.as_slice() {
        [start @ .., high, low] if start.starts_with(v2::PROTOCOL_PREFIX) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => return Err(invalid("the connection begins with something else")),
    };
    if rest > REST_MAX {
        return Err(invalid("version 2 with more than 2 KiB of extensions"));
    }
    header.resize(FIXED + rest, 0);
    stream.read_exact(header.get_mut(FIXED..).unwrap_or_default()).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|error| invalid(&format!("version 2: {error}")))?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => {
            Some((IpAddr::from(addresses.source_address), addresses.source_port).into())
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => {
            Some((IpAddr::from(addresses.source_address), addresses.source_port).into())
        }
        _ => None,
    })
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("no PROXY header: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TLS: &[u8] = b"\x16\x03\x01 the client's own bytes";

    /// What is told, and what is left for TLS.
    async fn read(header: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let bytes = [header, TLS].concat();
        let mut stream = bytes.as_slice();
        let told = client(&mut stream).await;
        (told, stream.to_vec())
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn both_versions_tell_the_client_and_leave_its_bytes() {
        let four = [10, 1, 2, 3, 192, 0, 2, 1, 0x1F, 0x90, 0x01, 0xBB];
        let with_extension = [&four[..], &[0x04, 0x00, 0x03, 1, 2, 3]].concat();
        let mut six = [0; 36];
        (six[0], six[1], six[15], six[33]) = (0x20, 0x01, 0x09, 80);
        let cases: [(&[u8], Option<&str>); 7] = [
            (b"PROXY TCP4 10.1.2.3 192.0.2.1 8080 443\r\n", Some("10.1.2.3:8080")),
            (b"PROXY TCP6 2001::9 2001::1 80 443\r\n", Some("[2001::9]:80")),
            (b"PROXY UNKNOWN\r\n", None),
            (&version_2(1, 0x11, &four), Some("10.1.2.3:8080")),
            (&version_2(1, 0x11, &with_extension), Some("10.1.2.3:8080")),
            (&version_2(1, 0x21, &six), Some("[2001::9]:80")),
            (&version_2(0, 0x11, &four), None),
        ];
        for (header, wanted) in cases {
            let (told, left) = read(header).await;
            assert_eq!(told.unwrap(), wanted.map(|text| text.parse().unwrap()), "{header:?}");
            assert_eq!(left, TLS);
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused_and_nothing_without_end_is_read() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        let cases: [&[u8]; 5] =
            [TLS, b"PROXY TCP4 10.1.2.3\r\n", &long, &version_2(1, 0x11, &[0; 4]), &version_2(1, 0x11, &[0; REST_MAX + 1])];
        for header in cases {
            let (told, _) = read(header).await;
            assert_eq!(told.unwrap_err().kind(), ErrorKind::InvalidData, "{header:?}");
        }
        for cut in [&b""[..], b"PROXY TCP4", &version_2(1, 0x11, &[0; 12])[..20]] {
            let mut stream = cut;
            assert_eq!(client(&mut stream).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
    }
}
