//! What is wrong with a daemon, or that there is none: words and exit codes.

use super::*;

#[test]
fn the_daemon_says_no() {
    let refused = r#"{"error":"there is no flow 9","code":"unknown-flow"}"#;
    check(
        &["flows", "close", "9"],
        "404 Not Found",
        refused,
        expect![[r#"
            DELETE /v1/flows/9 HTTP/1.1
            4
            --
            error[unknown-flow]: there is no flow 9
        "#]],
    );
    check(
        &["status"],
        "500 Internal Server Error",
        "oops",
        expect![[r#"
            GET /v1/status HTTP/1.1
            4
            --
            error[http]: 500 Internal Server Error: oops
        "#]],
    );
    check(
        &["status"],
        "200 OK",
        "oops",
        expect![[r#"
        GET /v1/status HTTP/1.1
        1
        --
        error: the daemon's answer cannot be read: expected value at line 1 column 1
    "#]],
    );
}

#[test]
fn who_follows_hears_that_the_daemon_stops() {
    let events = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    for verb in [&["flows", "tail"][..], &["explain", "--follow"]] {
        let told = against(events, false, verb);
        let told = (told.code, &*told.stdout, &*told.stderr);
        let expected = "the daemon stops: there is nothing more to follow\n";
        assert_eq!(told, (0, "", expected), "{verb:?}");
    }
}

#[test]
fn no_daemon_is_three() {
    let home = directory(&[]);
    for verb in [
        &["status"][..],
        &["diagnostics"],
        &["stop"],
        &["reload"],
        &["flows"],
        &["outbounds"],
        &["policy"],
        &["explain"],
        &["flows", "tail"],
    ] {
        let Run {
            code,
            stdout,
            stderr,
        } = run(home.path(), verb, "");
        assert_eq!((code, stdout.as_str()), (3, ""), "{verb:?}");
        assert!(stderr.starts_with("error: no daemon: "), "{stderr}");
    }
}

/// Runs a verb against a server that says `words` and then hangs up, or holds on.
fn against(words: &'static str, hangs: bool, arguments: &[&str]) -> Run {
    let home = directory(&[]);
    let socket = home.path().join("d.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
        while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        stream.write_all(words.as_bytes()).unwrap();
        if hangs {
            // Until the client has enough of it.
            while head.next().is_some() {}
        }
    });
    let control = socket.to_str().unwrap();
    let answer = run(
        home.path(),
        &[&["--control", control], arguments].concat(),
        "",
    );
    server.join().unwrap();
    answer
}

#[test]
fn what_is_wrong_with_a_daemon_is_said() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n";
    let cut: &str = Box::leak(format!("{head}{{\"state\":").into_boxed_str());
    let other: &str = Box::leak(format!("{head}<html>no json</html>").into_boxed_str());
    for (words, hangs, arguments, said) in [
        (
            "",
            true,
            &["--timeout", "200ms", "status"][..],
            "did not answer within 200ms",
        ),
        (
            cut,
            true,
            &["status", "--timeout", "200ms"],
            "did not answer within 200ms",
        ),
        (
            "",
            true,
            &["--timeout", "200ms", "flows", "tail"],
            "did not answer within 200ms",
        ),
        ("", false, &["status"], "broke off"),
        (cut, false, &["status"], "broke"),
        ("HTTP/1.1 200 OK\r\nx", false, &["status"], "broke off"),
        (other, false, &["status"], "cannot be read: expected value"),
        (
            "220 mail ESMTP\r\n\r\n",
            true,
            &["status"],
            "in another language",
        ),
        (
            "HTTP/1.1 502 Bad\r\ncontent-length: 4\r\n\r\noops",
            false,
            &["status"],
            "502",
        ),
    ] {
        let Run {
            code,
            stdout,
            stderr,
        } = against(words, hangs, arguments);
        let expected = if said == "502" { 4 } else { 1 };
        assert_eq!((code, &*stdout), (expected, ""), "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
    }
}

#[test]
fn a_socket_that_nobody_serves_is_no_daemon() {
    let home = directory(&[]);
    let path = home.path().join("d.sock");
    let control = path.to_str().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    let left = run(home.path(), &["--control", control, "status"], "");
    assert_eq!(left.code, 3, "{}", left.stderr);
    assert!(left.stderr.contains("d.sock"), "{}", left.stderr);
    // One that is bound and never asked: its queue fills, and then the limit counts.
    std::fs::remove_file(&path).unwrap();
    let _never_accepts = UnixListener::bind(&path).unwrap();
    let words = ["--control", control, "--timeout", "200ms", "status"];
    let hangs = run(home.path(), &words, "");
    assert_eq!(hangs.code, 1, "{}", hangs.stderr);
    assert!(hangs.stderr.contains("within 200ms"), "{}", hangs.stderr);
}
