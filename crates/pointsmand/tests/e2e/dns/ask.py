"""Asks a DNS server, and prints the first address of each reply.

`alternate SERVER NAME COUNT ADDRESS...`: the same, so often by turns from each of these addresses.
`misses SERVER NAME COUNT`: so many names below that one; how many were answered.
`compare SERVER UPSTREAM`: 500 queries to both; each difference beyond what a forwarder may edit is a line.
`stream SERVER NAME NAME PATH`: two by one connection, the second once there is a file at that path.
"""
import os, socket, struct, sys, time

def query(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)

def address(reply):
    return socket.inet_ntoa(reply[-4:]) if reply[3] & 15 == 0 and reply[6:8] != b"\0\0" else "none"

command, server, words = sys.argv[1], sys.argv[2].rsplit(":", 1), sys.argv[3:]
server = (server[0], int(server[1]))

def datagrams(own=None):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(6)
    if own:
        sock.bind((own, 0))
    sock.connect(server)
    return sock

def by_datagram(where, message):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(6)
    sock.connect(where)
    sock.send(message)
    return sock.recv(65535)

def by_stream(where, message):
    stream = socket.create_connection(where)
    stream.settimeout(6)
    stream.sendall(struct.pack("!H", len(message)) + message)
    length, = struct.unpack("!H", stream.recv(2, socket.MSG_WAITALL))
    return stream.recv(length, socket.MSG_WAITALL)

KINDS = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 46, 48, 64, 65, 99, 257, 65280]
OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
SIGNED = b"\0" + struct.pack("!HHIH", 41, 4096, 0x8000, 0)

def queries():
    """Types, names, flags and EDNS by turns: 504 of them, half for the first time."""
    names = ["a.test", "MiXeD.TeSt", "a.nx.test", "a.nodata.test", "x.ttl7.test", "_sip._tcp.test", "*.test"]
    number = 0
    for kind in KINDS:
        for name in names:
            for flags, more in [(0x0100, b""), (0x0100, OPT), (0x0110, SIGNED), (0x0120, b"")]:
                number += 1
                labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
                head = struct.pack("!HHHHHH", number, flags, 1, 0, 0, 1 if more else 0)
                yield head + labels + b"\0" + struct.pack("!HH", kind, 1) + more

def skip_name(message, at):
    while message[at] and message[at] < 192:
        at += 1 + message[at]
    return at + (2 if message[at] else 1)

def edited(message):
    """Without times to live, and without OPT, which each hop has for itself; the checks' flags are each hop's, too."""
    number, flags, questions, answers, authorities, additionals = struct.unpack("!HHHHHH", message[:12])
    at = 12
    for _ in range(questions):
        at = skip_name(message, at) + 4
    parts, opts = [number, flags & ~0x0130, message[12:at], answers, authorities], 0
    for _ in range(answers + authorities + additionals):
        begin, at = at, skip_name(message, at)
        kind, _, _, length = struct.unpack("!HHIH", message[at:at + 10])
        end = at + 10 + length
        if kind == 41:
            opts += 1
        else:
            parts.append(message[begin:at + 4] + message[at + 8:end])
        at = end
    return parts + [additionals - opts, message[at:]]

if command == "alternate":
    socks = [datagrams(own) for own in words[2:]]
    for number in range(int(words[1])):
        for sock in socks:
            sock.send(query(number, words[0]))
            print(address(sock.recv(4096)))
elif command == "misses":
    sock, answered = datagrams(), 0
    for number in range(int(words[1])):
        sock.send(query(number, f"n{number}.{words[0]}"))
        answered += address(sock.recv(4096)) != "none"
    print(answered)
elif command == "compare":
    upstream = (words[0], 53)
    compared = 0
    for message in queries():
        for transport in (by_datagram, by_stream):
            ours, theirs = transport(server, message), transport(upstream, message)
            compared += 1
            room = 1232 if message[11] else 512
            # What does not fit is asked for again by stream.
            if transport == by_datagram and len(theirs) > room and ours[2] & 2:
                continue
            if edited(ours) != edited(theirs):
                print(transport.__name__, message.hex(), "ours", ours.hex(), "theirs", theirs.hex())
    print(compared)
else:
    stream = socket.create_connection(server)
    for number, name in enumerate(words[:2]):
        while number and not os.path.exists(words[2]):
            time.sleep(0.02)
        message = query(number, name)
        stream.sendall(struct.pack("!H", len(message)) + message)
        length, = struct.unpack("!H", stream.recv(2, socket.MSG_WAITALL))
        print(address(stream.recv(length, socket.MSG_WAITALL)), flush=True)
