//! What a server says before its client does.
//!
//! For records alone: when it comes, the flow has been decided. Its user is the relay's first bytes from the
//! server. Invariant: decided within [`MAX_BANNER`] bytes, mostly at the end of a line.
//! Absent: answers to what a client said; greetings that several protocols share and that name none of them
//! (a `220` without a word for mail or files, a `200` of news).

use crate::read::{Reader, Stop, bounded};
use crate::{Parse, WhyNot};

/// The most bytes of a server that are looked at; lines of mail have 512 at most (RFC 5321 §4.5.3.1).
pub const MAX_BANNER: usize = 512;

/// A protocol whose server speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerProtocol {
    /// FTP.
    Ftp,
    /// IMAP.
    Imap,
    /// MySQL and MariaDB.
    Mysql,
    /// POP3.
    Pop3,
    /// SMTP and submission.
    Smtp,
    /// SSH.
    Ssh,
    /// VNC (RFB).
    Vnc,
}

impl ServerProtocol {
    /// Its word in records: lower-case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Imap => "imap",
            Self::Mysql => "mysql",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
            Self::Ssh => "ssh",
            Self::Vnc => "vnc",
        }
    }
}

/// What a server's first bytes told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// The protocol.
    pub protocol: ServerProtocol,
    /// The server's software and version, where the protocol has a place for it (SSH, MySQL); printable ASCII.
    pub software: Option<String>,
}

/// Looks at the first bytes of a server.
///
/// Nothing is to be consumed by `used`: the bytes belong to the client.
pub fn banner(bytes: &[u8]) -> Parse<Banner> {
    bounded(bytes, MAX_BANNER, |reader| {
        let (protocol, software) = match reader.rest() {
            [] | [_] => return Err(Stop::More),
            // A length of less than 256 in three bytes, little-endian: no text has a zero here.
            [_, 0, ..] => (ServerProtocol::Mysql, mysql(reader)?),
            [b'S', ..] => (ServerProtocol::Ssh, ssh(reader)?),
            [b'R', ..] => {
                vnc(reader)?;
                (ServerProtocol::Vnc, None)
            }
            [b'2', ..] => (reply(reader)?, None),
            [b'+', ..] => {
                reader.literal(b"+OK", WhyNot::AnotherProtocol)?;
                line(reader)?;
                (ServerProtocol::Pop3, None)
            }
            _ => {
                reader.literal(b"* ", WhyNot::AnotherProtocol)?;
                let greeting = line(reader)?;
                let word = greeting.split(|byte| *byte == b' ').next();
                if !matches!(word, Some(b"OK" | b"PREAUTH" | b"BYE")) {
                    return other();
                }
                (ServerProtocol::Imap, None)
            }
        };
        let software = software.map(|text| String::from_utf8_lossy(text).into_owned());
        Ok(Banner { protocol, software })
    })
}

fn ssh<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Stop> {
    reader.literal(b"SSH-", WhyNot::AnotherProtocol)?;
    let version = line(reader)?;
    let software = version.split(|byte| *byte == b'-').nth(1);
    let software = software.and_then(|text| text.split(|byte| *byte == b' ').next());
    match software {
        Some(text) if is_text(text) => Ok(Some(text)),
        _ => other(),
    }
}

/// The greeting of MySQL's protocol 10, or an error instead of it ("host is blocked").
fn mysql<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Stop> {
    const GREETING: u8 = 10;
    const ERROR: u8 = 0xff;
    let [_, _, high, sequence] = reader.array()?;
    if (high, sequence) != (0, 0) {
        return other();
    }
    match reader.u8()? {
        GREETING => match reader.until_nul(100)? {
            version if is_text(version) => Ok(Some(version)),
            _ => other(),
        },
        // Codes of servers are 1000 and above (MySQL's manual, "Server Error Message Reference").
        ERROR => {
            let [low, high] = reader.array()?;
            match u16::from_le_bytes([low, high]) {
                1_000..=4_999 => Ok(None),
                _ => other(),
            }
        }
        _ => other(),
    }
}

fn vnc(reader: &mut Reader<'_>) -> Result<(), Stop> {
    reader.literal(b"RFB ", WhyNot::AnotherProtocol)?;
    let version: [u8; 8] = reader.array()?;
    let told = version
        .iter()
        .zip(b"000.000\n")
        .all(|(byte, kind)| match kind {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
    if told { Ok(()) } else { other() }
}

/// `220`, the first line of mail and of file transfer, which names one of them.
fn reply(reader: &mut Reader<'_>) -> Result<ServerProtocol, Stop> {
    reader.literal(b"220", WhyNot::AnotherProtocol)?;
    if !matches!(reader.u8()?, b' ' | b'-') {
        return other();
    }
    let text = line(reader)?.to_ascii_uppercase();
    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
    match (has(b"SMTP"), has(b"FTP")) {
        (true, _) => Ok(ServerProtocol::Smtp),
        (false, true) => Ok(ServerProtocol::Ftp),
        (false, false) => other(),
    }
}

/// The rest of the line, without its end.
fn line<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Stop> {
    let end = reader.rest().iter().position(|byte| *byte == b'\n');
    let line = reader.take(end.ok_or(Stop::More)?)?;
    reader.u8()?;
    Ok(line.strip_suffix(b"\r").unwrap_or(line))
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

fn other<T>() -> Result<T, Stop> {
    Err(Stop::Not(WhyNot::AnotherProtocol))
}
