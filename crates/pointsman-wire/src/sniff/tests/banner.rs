//! What servers say first.

use crate::Parse;
use crate::fuzz_checks::check_banner;
use crate::sniff::{MAX_BANNER, banner};

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ssh", b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n".into()),
        ("smtp-server", b"220 mail.test ESMTP Postfix\r\n".into()),
        ("ftp", b"220-Welcome to Pure-FTPd\r\n220 ready\r\n".into()),
        ("pop3", b"+OK Dovecot ready.\r\n".into()),
        ("imap", b"* OK [CAPABILITY IMAP4rev1] ready\r\n".into()),
        ("mysql", b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0".into()),
        ("mysql-blocked", b"\x45\0\0\0\xff\x6a\x04Host".into()),
        ("vnc", b"RFB 003.008\n".into()),
    ]
}

fn check(bytes: impl AsRef<[u8]>, expected: &str) {
    let bytes = bytes.as_ref();
    let told = match banner(bytes) {
        Parse::Done(told, _) => {
            let protocol = told.protocol.as_str().to_owned();
            match told.software {
                Some(software) => format!("{protocol} {software}"),
                None => protocol,
            }
        }
        Parse::NeedMore => "more".to_owned(),
        Parse::Not(why) => format!("not: {why}"),
    };
    assert_eq!(told, expected, "{:?}", String::from_utf8_lossy(bytes));
    check_banner(bytes);
}

const NONE: &str = "not: not the expected protocol";

#[test]
fn servers_are_told() {
    check("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n", "ssh OpenSSH_9.6p1");
    check("SSH-1.99-Cisco-1.25\n", "ssh Cisco");
    check("220 mail.test ESMTP Postfix\r\n", "smtp");
    check("220-mail.test esmtp\r\n220 x\r\n", "smtp");
    check("220 (vsFTPd 3.0.5)\r\n", "ftp");
    check("+OK\r\n", "pop3");
    check("+OK Dovecot ready.\r\n", "pop3");
    check("* OK IMAP4rev1\r\n", "imap");
    check("* PREAUTH in\r\n", "imap");
    check("* BYE busy\r\n", "imap");
    check(b"\x4a\0\0\0\x0a8.0.36\0\x08\0", "mysql 8.0.36");
    // 83 bytes: the length is an S, as SSH's first letter.
    check(
        b"S\0\0\0\x0a5.5.5-10.11.2-MariaDB\0",
        "mysql 5.5.5-10.11.2-MariaDB",
    );
    check(b"\x45\0\0\0\xff\x6a\x04Host", "mysql");
    check("RFB 003.008\n", "vnc");
}

#[test]
fn near_misses_are_nothing() {
    check("220 ready\r\n", NONE);
    check("221 FTP\r\n", NONE);
    check("220x FTP\r\n", NONE);
    check("200 news.test\r\n", NONE);
    check("+ERR\r\n", NONE);
    check("* NO\r\n", NONE);
    check("*2\r\n", NONE);
    check("SSH-2.0\r\n", NONE);
    check("SSH-2.0-\r\n", NONE);
    check("HTTP/1.1 200 OK\r\n", NONE);
    check("RFB 003.0x8\n", NONE);
    check(b"\x4a\0\x01\0\x0a8.0.36\0", NONE);
    check(b"\x4a\0\0\x01\x0a8.0.36\0", NONE);
    check(b"\x4a\0\0\0\x098.0.36\0", NONE);
    check(b"\x4a\0\0\0\x0a8.0 36\0", NONE);
    check(b"\x4a\0\0\0\xff\x01\0", NONE);
}

#[test]
fn the_wait_ends() {
    check("", "more");
    check("2", "more");
    check("220", "more");
    check("220 mail.test ESMTP", "more");
    check(b"S\0\0\0\x0a8.0", "more");
    let long = |length| format!("220 {}", "a".repeat(length - 4));
    check(long(MAX_BANNER - 1), "more");
    check(long(MAX_BANNER), "not: too long");
}
