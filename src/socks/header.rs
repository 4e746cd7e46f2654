//! The header a load balancer or proxy puts before a connection it forwards (HAProxy's PROXY protocol, versions 1 and
//! 2): how long it is, so that what stands behind it can be recognised.

use super::Probe;

/// Longest header of version 1, its line end included.
const TEXT_MAX: usize = 107;
const TEXT_START: &[u8] = b"PROXY ";
const BINARY_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 before its addresses.
const BINARY_FIXED: usize = 16;
/// Longest header of version 2 that is taken: addresses of UNIX sockets and a certificate's names fit.
pub const PROXY_HEADER_MAX: usize = 2_048;

/// Length of the PROXY header at the beginning of a connection.
pub fn proxy_header(bytes: &[u8]) -> Result<usize, Probe> {
    if is_part(bytes, TEXT_START) {
        return text(bytes);
    }
    if is_part(bytes, BINARY_START) {
        return binary(bytes);
    }
    Err(Probe::No)
}

/// Whether `bytes` begins with `start`, or is the beginning of it.
fn is_part(bytes: &[u8], start: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().zip(start).all(|(byte, wanted)| byte == wanted)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 40000 443` and CRLF.
fn text(bytes: &[u8]) -> Result<usize, Probe> {
    let line = bytes.get(..bytes.len().min(TEXT_MAX)).unwrap_or_default();
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return Err(if bytes.len() < TEXT_MAX { Probe::Unsure } else { Probe::No });
    };
    let family = line.get(TEXT_START.len()..end).unwrap_or_default();
    let known = [b"TCP4 ".as_slice(), b"TCP6 ", b"UNKNOWN"].iter().any(|start| family.starts_with(start));
    if known { Ok(end + 2) } else { Err(Probe::No) }
}

fn binary(bytes: &[u8]) -> Result<usize, Probe> {
    let Some(&[version, _, high, low]) = bytes.get(BINARY_START.len()..BINARY_FIXED).and_then(|b| b.first_chunk())
    else {
        return Err(Probe::Unsure);
    };
    let len = BINARY_FIXED + usize::from(u16::from_be_bytes([high, low]));
    match version >> 4 {
        2 if len > PROXY_HEADER_MAX => Err(Probe::No),
        2 if len > bytes.len() => Err(Probe::Unsure),
        2 => Ok(len),
        _ => Err(Probe::No),
    }
}

#[cfg(test)]
mod tests {
    use super::{BINARY_START, proxy_header};
    use crate::socks::Probe;

    #[test]
    fn headers_of_both_versions_are_measured() {
        let text = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n";
        let binary = [BINARY_START, &[0x21, 0x11, 0, 12], &[7; 12]].concat();
        for header in [&text[..], &binary] {
            let all = [header, b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(proxy_header(&all), Ok(header.len()));
            for cut in 1..header.len() {
                assert_eq!(proxy_header(&header[..cut]), Err(Probe::Unsure), "{cut}");
            }
        }
        assert_eq!(proxy_header(b"PROXY UNKNOWN\r\n"), Ok(15));
    }

    #[test]
    fn other_beginnings_are_refused() {
        for bytes in [&b""[..], b"GET / HTTP/1.1", b"PROXY / HTTP/1.1\r\n", b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0"] {
            assert_eq!(proxy_header(bytes), Err(Probe::No));
        }
        assert_eq!(proxy_header(&[&b"PROXY "[..], &[b'x'; 200]].concat()), Err(Probe::No));
    }
}
