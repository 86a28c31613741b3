"""Clients of DNS over HTTPS and TLS who mean no good: `HOST HTTPS_PORT TLS_PORT`; prints `NAME: WHAT CAME OF IT` for each."""
import socket, ssl, struct, sys, time

HOST, WEB, DOT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def connect(port=WEB, alpn="h2"):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context.wrap_socket(socket.create_connection((HOST, port), timeout=10))

def frame(kind, flags, stream, data=b""):
    return struct.pack("!I", len(data))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + data

def text(data):
    """A text of HPACK, as it is."""
    rest = len(data) - 127
    if rest < 0:
        return bytes([len(data)]) + data
    length = bytes([127])
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + data

def head(method, path, more=()):
    fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"x"), (b":path", path), *more]
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)

GET = head(b"GET", b"/dns-query?dns=AAABAAABAAAAAAAAAWEEdGVzdAAAAQAB")
POST = head(b"POST", b"/dns-query", [(b"content-type", b"application/dns-message")])

def second(settings=b""):
    stream = connect()
    stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, settings))
    return stream

def sent(stream, parts):
    """How many of them were taken."""
    count = 0
    try:
        for part in parts:
            stream.sendall(part)
            count += 1
    except OSError:
        pass
    return count

def end(stream, within=12):
    """What came until the end, and after how many seconds that was."""
    stream.settimeout(within)
    begun, data = time.time(), b""
    try:
        while more := stream.recv(65536):
            data += more
    except TimeoutError:
        return data, None
    except OSError:
        pass
    return data, time.time() - begun

def farewells(data):
    """The codes of GOAWAY frames."""
    at, codes = 0, []
    while at + 9 <= len(data):
        length = int.from_bytes(data[at:at + 3], "big")
        if data[at + 3] == 7:
            codes.append(int.from_bytes(data[at + 13:at + 17], "big"))
        at += 9 + length
    return codes

def tell(name, *what):
    print(f"{name}:", *what, flush=True)

stream = second()
count = sent(stream, (frame(1, 5, 2 * n + 1, GET) + frame(3, 0, 2 * n + 1, struct.pack("!I", 8)) for n in range(20000)))
tell("reset", count < 20000, farewells(end(stream)[0]))

stream = second()
sent(stream, (frame(1, 4, 2 * n + 1, POST) for n in range(300)))
tell("bodies", end(stream)[1] is not None)

stream, large = second(), head(b"GET", b"/dns-query", [(b"x", b"y" * (1 << 20))])
sent(stream, [frame(1, 1, 1, large[:16000])] + [frame(9, 0, 1, large[at:at + 16000]) for at in range(16000, len(large), 16000)])
tell("head", farewells(end(stream)[0]))

stream = second()
sent(stream, [frame(1, 1, 1, GET)] + [frame(9, 0, 1)] * 200000)
tell("continuation", farewells(end(stream)[0]))

stream = connect(alpn="http/1.1")
sent(stream, [b"GET /dns-query HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (1 << 20)])
tell("first head", end(stream)[0].split(b"\r\n")[0].decode())

# Nothing of what is answered is taken.
stream = second(struct.pack("!HI", 4, 0))
sent(stream, (frame(1, 5, 2 * n + 1, GET) for n in range(100)))
tell("unread", end(stream)[1] is not None)

held = [socket.create_connection((HOST, port)) for port in (WEB, DOT) * 150]
for stream in held:
    sent(stream, [b"\x16\x03\x01\x02\x00\x01"])
time.sleep(0.2)
query = b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1"
stream = connect(DOT, "dot")
stream.sendall(struct.pack("!H", len(query)) + query)
tell("answered", len(stream.recv(600)) > len(query))
tell("handshakes", all(end(stream)[1] is not None for stream in held))
