"""A name server that tells what it was asked: `ADDRESS PORT ANSWER`; each query is a line of standard output.

A: the answer. HTTPS, MX, TXT, SRV, CAA, NAPTR, DS, TYPE65280: fixed data. Labels say what else it does: `nx`, `nodata`
(with a SOA of 60 s, minimum 5), `ttlN`, `big` (TXT that fits no datagram), `stall`, `slow` (1 s), `servfail`, `refused`, `lie` (another question), `noedns`, `to-x` (it is
another name of x.test), `at-10-1-2-3` (that address), `port` (tells `from PORT`, too), `garble` and `long` (a datagram that cannot be read, or is longer than any should be),
`spoof` (forged answers before the true one).
"""
import socket, struct, sys, threading, time

ADDRESS, PORT, ANSWER = sys.argv[1], int(sys.argv[2]), sys.argv[3]
DATA = {
    65: bytes.fromhex("0001000001000302683200040004c0000201"),
    15: b"\x00\x0a\x04mail\x04test\x00",
    16: b"".join(b"\xff" + bytes([65 + n]) * 255 for n in range(3)),
    33: struct.pack("!HHH", 1, 2, 443) + b"\x03srv\x04test\x00",
    257: b"\x00\x05issueca.test",
    35: struct.pack("!HH", 100, 10) + b"\x01u\x07E2U+sip\x0b!^.*$!sip:!\x00",
    43: struct.pack("!HBB", 1, 8, 2) + bytes(range(32)),
    65280: b"\x00\x01\xfe\xff",
    12: b"\x04host\x04test\x00",
}

def parse(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]])
        at += 1 + query[at]
    kind, = struct.unpack("!H", query[at + 1:at + 3])
    return labels, kind, query[12:at + 5], at + 5

def record(kind, ttl, data):
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data

SOA = b"\x00" + struct.pack("!HHIH", 6, 1, 60, 22) + b"\x00\x00" + struct.pack("!IIIII", 1, 2, 3, 4, 5)

def answer(query, transport):
    labels, kind, question, end = parse(query)
    words = {label.lower().decode("latin-1") for label in labels}
    name = b".".join(labels).decode("latin-1")
    edns = query[10:12] != b"\x00\x00"
    print(transport, name, kind, flush=True)
    if "stall" in words:
        return None
    if "slow" in words:
        time.sleep(1)
    code, answers, authority = 0, [], []
    ttl = next((int(w[3:]) for w in words if w.startswith("ttl") and w[3:].isdigit()), 60)
    flags = 0x8180
    if "nx" in words:
        code, authority = 3, [SOA]
    elif "nodata" in words:
        authority = [SOA]
    elif "servfail" in words:
        code = 2
    elif "refused" in words:
        code = 5
    elif "noedns" in words and edns:
        code = 1
    elif "big" in words:
        if transport == "udp":
            flags |= 0x0200
        else:
            answers = [record(16, ttl, DATA[16])] * 5
    elif "long" in words and transport == "udp":
        answers = [record(1, ttl, socket.inet_aton(ANSWER))] * 300
    elif kind == 1:
        own = next((w[3:].replace("-", ".") for w in words if w.startswith("at-")), ANSWER)
        answers = [record(1, ttl, socket.inet_aton(own))]
        target = next((w[3:].encode() for w in words if w.startswith("to-")), None)
        if target:
            alias = bytes([len(target)]) + target + b"\x04test\x00"
            answers = [record(5, ttl, alias), alias + answers[0][2:]]
    elif kind in DATA:
        answers = [record(kind, ttl, DATA[kind])]
    else:
        authority = [SOA]
    if "lie" in words:
        question = b"\x04evil" + question
    head = query[:2] + struct.pack("!HHHHH", flags | code, 1, len(answers), len(authority), 1 if edns and code != 1 else 0)
    opt = b"\x00" + struct.pack("!HHIH", 41, 1232, 0, 0) if edns and code != 1 else b""
    return head + question + b"".join(answers) + b"".join(authority) + opt

def spoof(sock, other, query, true, before, client):
    forged = bytearray(true)
    at = forged.index(socket.inet_aton(ANSWER))
    forged[at:at + 4] = bytes([10, 6, 6, 6])
    for number in range(65536):
        sock.sendto(struct.pack("!H", number) + forged[2:], before)
    question = forged[:12] + b"\x04evil" + forged[12:]
    sock.sendto(question, client)
    other.sendto(forged, client)

def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((ADDRESS, PORT))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind((ADDRESS, 0))
    before = None
    while True:
        query, client = sock.recvfrom(4096)
        words = {label.lower().decode("latin-1") for label in parse(query)[0]}
        reply = answer(query, "udp")
        if "port" in words:
            print("from", client[1], flush=True)
        if "spoof" in words and reply and before:
            spoof(sock, other, query, reply, before, client)
        if reply and "garble" in words:
            reply = reply[:20]
        before = client
        if reply:
            sock.sendto(reply, client)

def exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            return None
        data += more
    return data

def line(stream):
    while (length := exactly(stream, 2)):
        query = exactly(stream, struct.unpack("!H", length)[0])
        reply = answer(query, "tcp")
        if reply:
            stream.sendall(struct.pack("!H", len(reply)) + reply)

listener = socket.create_server((ADDRESS, PORT))
threading.Thread(target=udp, daemon=True).start()
print("ready", flush=True)
while True:
    stream, _ = listener.accept()
    threading.Thread(target=line, args=(stream,), daemon=True).start()
