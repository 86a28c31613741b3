"""The far side of tests in namespaces: HTTP on 80, HTTPS on 443, DNS on 53, banners where asked.

Usage: inet.py web [CERTIFICATE KEY] | inet.py dns|dns-tcp ADDRESS NAME=IP[,IP]... | inet.py banner ADDRESS PORT...
Each HTTP answer is the client's address, as the server saw it."""
import http.server
import socket
import ssl
import struct
import sys
import threading


class Who(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (self.client_address[0] + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


def web(certificate=None, key=None):
    if certificate:
        secure = Server(("0.0.0.0", 443), Who)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        threading.Thread(target=secure.serve_forever, daemon=True).start()
    plain = Server(("0.0.0.0", 80), Who)
    print("ready", flush=True)
    plain.serve_forever()


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def answer(query, names):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12 : at + 5]
    kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
    found = names.get(".".join(labels).lower())
    # A is 1, AAAA is 28.
    family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
    records, count = b"", 0
    for text in found.split(",") if found and family else []:
        if (":" in text) == (kind == 28):
            address = socket.inet_pton(family, text)
            records += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(address)) + address
            count += 1
    flags = 0x8180 if found else 0x8183
    return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + records


def dns(address, names):
    server = socket.socket(family_of(address), socket.SOCK_DGRAM)
    server.bind((address, 53))
    print("ready", flush=True)
    while True:
        query, client = server.recvfrom(2048)
        server.sendto(answer(query, names), client)


def dns_tcp(address, names):
    server = socket.socket(family_of(address))
    server.bind(socket.getaddrinfo(address, 53, type=socket.SOCK_STREAM)[0][4])
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        stream = client.makefile("rwb")
        (length,) = struct.unpack("!H", stream.read(2))
        said = answer(stream.read(length), names)
        stream.write(struct.pack("!H", len(said)) + said)
        stream.flush()
        client.close()


def banner(address, ports):
    def serve(listener):
        while True:
            client, _ = listener.accept()
            client.sendall(b"220 ready\r\n")
            client.close()

    for port in ports:
        listener = socket.create_server((address, int(port)), family=family_of(address))
        threading.Thread(target=serve, args=(listener,)).start()
    print("ready", flush=True)


if sys.argv[1] == "web":
    web(*sys.argv[2:])
elif sys.argv[1] == "banner":
    banner(sys.argv[2], sys.argv[3:])
else:
    serve = dns_tcp if sys.argv[1] == "dns-tcp" else dns
    serve(sys.argv[2], dict(pair.split("=") for pair in sys.argv[3:]))
