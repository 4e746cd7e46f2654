//! One line of a key log to a secret and what it is for, in the dialects that tools write.

use super::{ENCRYPTED_PREFIX_LEN, SECRET_MAX, SecretLabel, padded};

/// Bytes of a master secret, and of the premaster secret of an RSA key exchange.
const MASTER_LEN: usize = 48;

/// What a line says.
pub(super) struct Line {
    pub(super) label: SecretLabel,
    /// The client random, or what else the label names secrets by.
    pub(super) id: [u8; 32],
    secret: Vec<u8>,
}

impl Line {
    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

/// What the first word of a line announces.
enum Label {
    /// A secret by client random.
    Secret(SecretLabel),
    /// A premaster secret or a session: two dialects share the word.
    Rsa,
    /// Nothing that opens traffic.
    Other,
}

/// Reads a line; none where there is nothing to be kept.
pub(super) fn read(line: &[u8]) -> Result<Option<Line>, String> {
    let mut line = line.trim_ascii();
    // Byte order marks also stand inside, where logs were joined.
    while let Some(rest) = line.strip_prefix(b"\xef\xbb\xbf") {
        line = rest.trim_ascii_start();
    }
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let words = || line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    // What a tool logs to a console has a mark or a time before the label.
    let Some((at, label)) = words().enumerate().find_map(|(at, word)| Some((at, label_of(word)?))) else {
        let name = String::from_utf8_lossy(words().next().unwrap_or_default());
        let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(format!("unknown label {shown:?}"));
    };
    let mut values = words().skip(at + 1);
    let (Some(name), Some(secret), None) = (values.next(), values.next(), values.next()) else {
        return match label {
            Label::Other => Ok(None),
            Label::Secret(_) | Label::Rsa => Err("expected LABEL, client random and secret".to_owned()),
        };
    };
    match label {
        Label::Other => Ok(None),
        Label::Secret(label) => secret_line(label, name, secret),
        Label::Rsa => match (prefixed(name, b"Session-ID:"), prefixed(secret, b"Master-Key:")) {
            (Some(id), Some(master)) => session_line(id, master),
            _ => premaster_line(name, secret),
        },
    }
}

fn secret_line(label: SecretLabel, random: &[u8], secret: &[u8]) -> Result<Option<Line>, String> {
    let id = hex(random, 32).and_then(|random| random.try_into().ok());
    let id = id.ok_or("the client random is not 64 hexadecimal digits")?;
    let secret = secret_of(secret)?;
    let len_fits = match label {
        SecretLabel::MasterSecret => secret.len() == MASTER_LEN,
        SecretLabel::Premaster => !secret.is_empty(),
        _ => matches!(secret.len(), 32 | 48),
    };
    line(label, id, secret, len_fits)
}

fn premaster_line(encrypted: &[u8], secret: &[u8]) -> Result<Option<Line>, String> {
    let prefix = hex(encrypted, SECRET_MAX).filter(|bytes| bytes.len() >= ENCRYPTED_PREFIX_LEN);
    let prefix = prefix.ok_or("the encrypted premaster secret is not 16 hexadecimal digits")?;
    let secret = secret_of(secret)?;
    let len_fits = secret.len() == MASTER_LEN;
    let prefix = prefix.get(..ENCRYPTED_PREFIX_LEN).unwrap_or_default();
    line(SecretLabel::RsaPremaster, padded(prefix), secret, len_fits)
}

fn session_line(id: &[u8], master: &[u8]) -> Result<Option<Line>, String> {
    let id = hex(id, 32).filter(|id| !id.is_empty()).ok_or("the session id is not hexadecimal of at most 32 bytes")?;
    let secret = secret_of(master)?;
    let len_fits = secret.len() == MASTER_LEN;
    line(SecretLabel::SessionMaster, padded(&id), secret, len_fits)
}

fn line(label: SecretLabel, id: [u8; 32], secret: Vec<u8>, len_fits: bool) -> Result<Option<Line>, String> {
    if !len_fits {
        return Err(format!("a secret of {} bytes does not fit its label", secret.len()));
    }
    let known = secret.iter().any(|&byte| byte != 0);
    Ok(known.then_some(Line { label, id, secret }))
}

fn secret_of(digits: &[u8]) -> Result<Vec<u8>, String> {
    hex(digits, SECRET_MAX).ok_or_else(|| format!("the secret is not hexadecimal of at most {SECRET_MAX} bytes"))
}

/// What a word announces, in either case; none where it is no label.
fn label_of(word: &[u8]) -> Option<Label> {
    let upper = word.to_ascii_uppercase();
    let bare = upper.strip_prefix(b"QUIC_").unwrap_or(&upper);
    Some(match bare {
        b"CLIENT_RANDOM" => Label::Secret(SecretLabel::MasterSecret),
        b"PMS_CLIENT_RANDOM" => Label::Secret(SecretLabel::Premaster),
        b"CLIENT_EARLY_TRAFFIC_SECRET" => Label::Secret(SecretLabel::ClientEarlyTraffic),
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::Secret(SecretLabel::ClientHandshakeTraffic),
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::Secret(SecretLabel::ServerHandshakeTraffic),
        b"CLIENT_TRAFFIC_SECRET_0" => Label::Secret(SecretLabel::ClientTraffic0),
        b"SERVER_TRAFFIC_SECRET_0" => Label::Secret(SecretLabel::ServerTraffic0),
        b"RSA" => Label::Rsa,
        b"EXPORTER_SECRET" | b"EARLY_EXPORTER_SECRET" | b"ECH_SECRET" | b"ECH_CONFIG" => Label::Other,
        _ if bare.starts_with(b"CLIENT_TRAFFIC_SECRET_") || bare.starts_with(b"SERVER_TRAFFIC_SECRET_") => Label::Other,
        _ => return None,
    })
}

/// What follows a prefix in either case.
fn prefixed<'a>(word: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = word.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Decodes at most `most` bytes of hexadecimal digits of either case.
fn hex(digits: &[u8], most: usize) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if pairs.len() > most {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}
