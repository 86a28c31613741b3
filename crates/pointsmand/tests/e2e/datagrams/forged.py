"""Two clients of SOCKS5 with a flow over UDP each, and ICMP errors that nobody had cause to send.

forged.py DESK: says `ready`, then one line for each kind of error: which, and whether both flows go on by their sockets.
The last one is as a host on the path would send it, and fits the first client's flow.
"""

import socket
import struct
import sys
import time

DESK = int(sys.argv[1])
UNREACHABLE, TOO_BIG, EXPIRED = (3, 3), (3, 4), (11, 0)


class Client:
    """An association, and a server of its own that its one flow goes to."""

    def __init__(self):
        self.control = socket.create_connection(("127.0.0.1", DESK))
        self.control.sendall(bytes([5, 1, 0]))
        self.control.recv(2)
        self.control.sendall(bytes([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
        reply = self.control.recv(10)
        self.relay = ("127.0.0.1", int.from_bytes(reply[8:10], "big"))
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.place = self.server.getsockname()
        self.outer = self.echo()

    def echo(self, tries=1):
        """Whence the server heard a datagram that it answered; a flow that failed rests for a second first."""
        head = bytes([0, 0, 0, 1, 127, 0, 0, 1]) + self.place[1].to_bytes(2, "big")
        self.server.settimeout(5 / tries)
        for _ in range(tries):
            self.socket.sendto(head + b"hello", self.relay)
            try:
                said, outer = self.server.recvfrom(100)
                break
            except TimeoutError:
                continue
        self.server.sendto(said[::-1], outer)
        assert self.socket.recv(100) == head + b"olleh"
        return outer


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def forge(kind, source, destination, cut=None):
    """An error about a datagram from `source` to `destination`."""
    inner = struct.pack("!BBHHHBBH", 0x45, 0, 33, 7, 0, 64, 17, 0)
    inner += socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    inner = inner[:10] + struct.pack("!H", checksum(inner)) + inner[12:]
    inner += struct.pack("!HHHH", source[1], destination[1], 13, 0)
    inner = inner[:cut]
    head = struct.pack("!BBHHH", *kind, 0, 0, 0)
    head = struct.pack("!BBHHH", *kind, checksum(head + inner), 0, 1400 if kind == TOO_BIG else 0)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.sendto(head + inner, (source[0], 0))


def is_bound(port):
    """Whether a socket over UDP of this namespace has that port."""
    with open("/proc/net/udp", encoding="ascii") as sockets:
        local = [line.split()[1] for line in sockets.readlines()[1:]]
    return any(address.endswith(f":{port:04X}") for address in local)


one, two = Client(), Client()
print("ready", flush=True)
for word, *error in [
    ("no flow goes there", UNREACHABLE, one.outer, ("127.0.0.9", 9)),
    ("another port of its server", UNREACHABLE, one.outer, (one.place[0], one.place[1] ^ 1)),
    ("where the other's flow goes", UNREACHABLE, one.outer, two.place),
    ("by the other's socket", UNREACHABLE, two.outer, one.place),
    ("to the client, who is there", UNREACHABLE, one.relay, two.socket.getsockname()),
    ("of a socket that is not ours", UNREACHABLE, ("127.0.0.1", 9), one.place),
    ("too long for the path", TOO_BIG, one.outer, one.place),
    ("a detour's end", EXPIRED, one.outer, one.place),
    ("cut short", UNREACHABLE, one.outer, one.place, 24),
    ("the answered flow's own", UNREACHABLE, one.outer, one.place),
]:
    for _ in range(3):
        forge(*error)
    ends = error == [UNREACHABLE, one.outer, one.place]
    end = time.monotonic() + 5
    # What is said before the error is heard still goes by the flow that it ends.
    while ends and is_bound(one.outer[1]) and time.monotonic() < end:
        time.sleep(0.02)
    same = [one.echo(20 if ends else 1) == one.outer, two.echo() == two.outer]
    print(f"{word}: {same}", flush=True)
