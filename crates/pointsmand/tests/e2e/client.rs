//! A proxy client that shows each byte: what curl hides, and what no client would say.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that gives up after ten seconds of silence.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// Asks a SOCKS5 inbound without login (RFC 1928): its reply's code and the connection; an error
/// where it hung up instead.
pub(crate) fn socks(
    inbound: SocketAddr,
    host: &str,
    port: u16,
) -> Result<(u8, TcpStream), std::io::Error> {
    let mut stream = connect(inbound);
    socks_on(&mut stream, host, port).map(|code| (code, stream))
}

/// As [`socks`], on a connection that is there.
pub(crate) fn socks_on(
    stream: &mut TcpStream,
    host: &str,
    port: u16,
) -> Result<u8, std::io::Error> {
    stream.write_all(&[5, 1, 0])?;
    let mut method = [0; 2];
    stream.read_exact(&mut method)?;
    assert_eq!(method, [5, 0]);
    let mut request = vec![5, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(v4)) => {
            request.push(1);
            request.extend(v4.octets());
        }
        Ok(IpAddr::V6(v6)) => {
            request.push(4);
            request.extend(v6.octets());
        }
        Err(_a_name) => {
            request.extend([3, u8::try_from(host.len()).unwrap()]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request)?;
    // The inbounds answer with an IPv4 address always.
    let mut reply = [0; 10];
    stream.read_exact(&mut reply)?;
    Ok(reply[1])
}

/// Whether the other end still echoes on this connection.
pub(crate) fn echoes(stream: &mut TcpStream, text: &str) -> bool {
    let mut back = vec![0; text.len()];
    let sent = stream.write_all(text.as_bytes());
    sent.and_then(|()| stream.read_exact(&mut back)).is_ok() && back == text.as_bytes()
}
