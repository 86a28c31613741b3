//! Chunked bodies: where they end, and what of them goes on.

use super::*;

#[test]
fn chunked_bodies() {
    let check = |body: &[u8], expected: Result<Scan, WhyNot>| {
        check_chunked(body);
        assert_eq!(
            ChunkedBody::new(Chunks::Kept).feed(body, &mut Vec::new()),
            expected,
            "{:?}",
            String::from_utf8_lossy(body)
        );
    };
    let done = |used| Ok(Scan { used, done: true });
    let so_far = |used| Ok(Scan { used, done: false });
    check(b"", so_far(0));
    check(b"0\r\n\r\n", done(5));
    check(b"0\r\n\r\nGET /", done(5));
    check(b"3\r\nabc\r\n0\r\n\r\n", done(13));
    check(b"3\r\nabc\r\n00\r\nA: b\r\nC: d\r\n\r\nx", done(26));
    check(b"A \r\n0123456789\r\n", so_far(16));
    check(b"a;ext=\"v\"\r\n01234", so_far(16));
    check(b"FFFFFFFFFFFFFFFF\r\nxx", so_far(20));
    let size = Err(WhyNot::Malformed("chunk size"));
    for body in [
        "\r\n",
        " 3\r\n",
        "-3\r\n",
        "+3\r\n",
        "0x3\r\n",
        "3\n",
        "g",
        "3,",
        "10000000000000000\r\n",
        "3\r\nabc\r\n\r\n",
        "3 4\r\n",
        "3 =x\r\n",
    ] {
        check(body.as_bytes(), size);
    }
    let end = Err(WhyNot::Malformed("end of a chunk"));
    check(b"3\r\nabcd", end);
    check(b"3\r\nabc\n", end);
    check(b"3\r\nabc\r\r", end);
    let line = Err(WhyNot::Malformed("line without CR LF"));
    check(b"3\rx", line);
    check(b"3;a\rx", line);
    check(b"0\r\nA: b\rC", line);
    check(b"0\r\n\rx", line);
    let control = Err(WhyNot::Malformed("control character in a chunk's line"));
    check(b"3;a\nabc\r\n", control);
    check(b"0\r\n\n", control);
    check(b"0\r\nA: b\n", control);
    check(
        format!("0;{}\r\n\r\n", "x".repeat(4_096)).as_bytes(),
        done(4_102),
    );
    check(
        format!("0;{}\r\n\r\n", "x".repeat(4_097)).as_bytes(),
        Err(WhyNot::TooLong),
    );
    check(
        format!("0\r\n{}", "A: b\r\n".repeat(4_097)).as_bytes(),
        Err(WhyNot::TooLong),
    );
}

#[test]
fn of_chunks_sizes_and_data_go_on() {
    let check = |body: &str, expected: &str| {
        check_chunked(body.as_bytes());
        let mut out = Vec::new();
        ChunkedBody::new(Chunks::Kept)
            .feed(body.as_bytes(), &mut out)
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{body:?}");
    };
    let none = "0\r\n\r\n";
    check("", "");
    check("00A", "");
    check("00A\r\nab", "a\r\nab");
    check("FFFFFFFFFFFFFFFF\r\nx", "ffffffffffffffff\r\nx");
    check(
        "010 \t\r\n0123456789abcdef\r\n",
        "10\r\n0123456789abcdef\r\n",
    );
    check("2 ;a=\"\r\nab\r\n0;b\r\n\r\nGET", "2\r\nab\r\n0\r\n\r\n");
    for field in ["Proxy-Authorization", "Transfer-Encoding", "Host", "X-Sum"] {
        check(&format!("0\r\n{field}:x\r\nA: b\r\n\r\n"), none);
    }
}

#[test]
fn trailers_are_fields() {
    let check = |line: &str, expected: Result<(), WhyNot>| {
        let body = format!("0\r\n{line}\r\n\r\n");
        check_chunked(body.as_bytes());
        let read = ChunkedBody::new(Chunks::Kept).feed(body.as_bytes(), &mut Vec::new());
        assert_eq!(read.map(|scan| assert!(scan.done)), expected, "{line:?}");
    };
    check("A:", Ok(()));
    check("A: caf\u{e9}\tb: c", Ok(()));
    for line in [
        "GET / HTTP/1.1",
        "A : b",
        " b",
        "A: b\r\n\tc",
        ":",
        "A\"b: c",
    ] {
        check(line, Err(WhyNot::Malformed("trailer")));
    }
    let line = Err(WhyNot::Malformed("control character in a chunk's line"));
    check("A\0: b", line);
    check("A\r", line);
    check("A: b\0", line);
}

#[test]
fn extensions_are_no_more_than_their_data() {
    let check = |size: usize, ext: usize, chunks: usize, expected: Result<bool, WhyNot>| {
        let chunk = format!("{size:x};{}\r\n{}\r\n", "x".repeat(ext), "d".repeat(size));
        let body = format!("{}0\r\n\r\n", chunk.repeat(chunks));
        let read = ChunkedBody::new(Chunks::Kept).feed(body.as_bytes(), &mut Vec::new());
        assert_eq!(read.map(|scan| scan.done), expected, "{size} {ext}");
    };
    check(1, 4_096, 4, Ok(true));
    check(1, 4_096, 5, Err(WhyNot::TooLong));
    check(4_096, 4_096, 100, Ok(true));
    check(100_000, 85, 100, Ok(true));
    check(1, 2, 16_384, Ok(true));
    check(1, 2, 16_385, Err(WhyNot::TooLong));
}

#[test]
fn a_body_that_ended_stays_ended() {
    let mut out = Vec::new();
    let mut body = ChunkedBody::new(Chunks::Kept);
    assert_eq!(
        body.feed(b"0\r\n\r\n", &mut out),
        Ok(Scan {
            used: 5,
            done: true
        })
    );
    assert_eq!(
        body.feed(b"more", &mut out),
        Ok(Scan {
            used: 0,
            done: true
        })
    );
    let mut body = ChunkedBody::new(Chunks::Kept);
    body.feed(b"x", &mut out).unwrap_err();
    body.feed(b"0\r\n\r\n", &mut out).unwrap_err();
    assert_eq!(out, b"0\r\n\r\n");
}
