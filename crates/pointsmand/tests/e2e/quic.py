"""QUIC at both ends of a test, by aioquic: a server that answers each stream in reverse, and a client of SOCKS5.

Usage: quic.py server ADDRESS [retry] | quic.py client PROXY TARGET CERTIFICATE NAME [large] [reordered]

The server prints its port and its certificate's file; it ends when its standard input is closed. The client prints one
JSON object of what came of it: `answered`, `retried`, `sent` (the sizes of the datagrams of its first flight). `TARGET` is
HOST:PORT as SOCKS5 is told it; `large` makes a hello that no single datagram holds, `reordered` sends its parts the wrong way
round.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import socket
import sys
import tempfile
import time

from aioquic.asyncio import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived

NAMES = ["secret.test", "other.test"]
LIMIT = 8


def certificate(directory):
    """A certificate for NAMES, and its key: both as files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName(it) for it in NAMES])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    files = os.path.join(directory, "certificate.pem"), os.path.join(directory, "key.pem")
    pem = serialization.Encoding.PEM
    with open(files[0], "wb") as file:
        file.write(made.public_bytes(pem))
    with open(files[1], "wb") as file:
        file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


async def answer(reader, writer):
    heard = await reader.read()
    writer.write(heard[::-1])
    writer.write_eof()


async def server(address, retry):
    with tempfile.TemporaryDirectory() as directory:
        files = certificate(directory)
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
        configuration.load_cert_chain(*files)
        tasks = set()

        def begin(reader, writer):
            task = asyncio.ensure_future(answer(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        served = await serve(address, 0, configuration=configuration, stream_handler=begin, retry=retry)
        print(served._transport.get_extra_info("sockname")[1], files[0], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        served.close()


def associate(proxy):
    """The connection of an association, and the address of its relay."""
    host, port = proxy.rsplit(":", 1)
    control = socket.create_connection((host.strip("[]"), int(port)))
    control.sendall(bytes([5, 1, 0]))
    assert control.recv(2) == bytes([5, 0])
    control.sendall(bytes([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
    reply = control.recv(64)
    assert reply[:3] == bytes([5, 0, 0]), reply
    length = {1: 4, 4: 16}[reply[3]]
    relay = str(ipaddress.ip_address(reply[4 : 4 + length]))
    return control, (relay, int.from_bytes(reply[4 + length : 6 + length], "big"))


def spelled(target):
    """The header of datagrams to that place."""
    host, port = target.rsplit(":", 1)
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        place = bytes([1 if address.version == 4 else 4]) + address.packed
    except ValueError:
        place = bytes([3, len(host)]) + host.encode()
    return bytes(3) + place + int(port).to_bytes(2, "big")


def client(proxy, target, trusted, name, words):
    # What offers that many protocols needs several datagrams for its hello.
    offered = ["h3"] + [f"no-such-protocol-{number:03}" for number in range(80 if "large" in words else 0)]
    configuration = QuicConfiguration(is_client=True, alpn_protocols=offered, server_name=name)
    configuration.load_verify_locations(trusted)
    quic = QuicConnection(configuration=configuration)
    control, relay = associate(proxy)
    head = spelled(target)
    ours = socket.socket(socket.AF_INET6 if ":" in relay[0] else socket.AF_INET, socket.SOCK_DGRAM)
    payload = os.urandom(100_000)
    told = {"answered": False, "retried": False, "sent": None, "error": None}
    heard = b""
    began = time.monotonic()
    # The address is not looked at by aioquic but for paths: one place is one path.
    place = ("127.0.0.1", 1)
    quic.connect(place, now=time.time())
    while time.monotonic() < began + LIMIT:
        datagrams = [data for data, _ in quic.datagrams_to_send(now=time.time())]
        if told["sent"] is None:
            told["sent"] = [len(data) for data in datagrams]
            if "reordered" in words:
                datagrams.reverse()
        for data in datagrams:
            ours.sendto(head + data, relay)
        timer = quic.get_timer()
        wait = 1 if timer is None else max(timer - time.time(), 0.001)
        ours.settimeout(min(wait, 1))
        try:
            data = ours.recv(65_535)
            assert data.startswith(head), (data[:30], head)
            quic.receive_datagram(data[len(head) :], place, now=time.time())
        except TimeoutError:
            if timer is not None and time.time() >= timer:
                quic.handle_timer(now=time.time())
        while (event := quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                quic.send_stream_data(quic.get_next_available_stream_id(), payload, end_stream=True)
            elif isinstance(event, ConnectionTerminated):
                told["error"] = event.reason_phrase
                return told
            elif isinstance(event, StreamDataReceived):
                heard += event.data
                if event.end_stream:
                    told["answered"] = heard == payload[::-1]
                    # A private matter of aioquic's, but the only one who knows.
                    told["retried"] = quic._retry_source_connection_id is not None
                    quic.close()
                    for data, _ in quic.datagrams_to_send(now=time.time()):
                        ours.sendto(head + data, relay)
                    return told
    told["error"] = "nothing came in time"
    return told


match sys.argv[1:]:
    case ["server", address, *words]:
        asyncio.run(server(address, "retry" in words))
    case ["client", proxy, target, trusted, name, *words]:
        print(json.dumps(client(proxy, target, trusted, name, words)))
    case _:
        sys.exit(__doc__)
