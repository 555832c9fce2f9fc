"""The DNS proxy: pods with DNS rules are redirected to it; it asks CoreDNS for the names that they may ask for, and remembers the answers."""

import socket
import socketserver
import struct
import threading
from collections.abc import Callable

from local_cluster.layout import DNS_IP, DNS_PROXY_PORT

Answer = Callable[[str, bytes, Callable[[bytes], bytes]], bytes]
"""Pod address, query and how to ask on → response."""
TIMEOUT = 3.0
LONGEST = 65535


def serve(answer: Answer) -> None:
    """Serve DNS over UDP and TCP, each in threads of its own, until the process ends."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, sock = self.request
            sock.sendto(answer(self.client_address[0], query, _ask_udp), self.client_address)

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(TIMEOUT)
            response = answer(self.client_address[0], _read(self.request), _ask_tcp)
            self.request.sendall(struct.pack("!H", len(response)) + response)

    everywhere = ("", DNS_PROXY_PORT)
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    for server in (socketserver.ThreadingUDPServer(everywhere, Udp), socketserver.ThreadingTCPServer(everywhere, Tcp)):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()


def _ask_udp(query: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.connect((DNS_IP, 53))
        sock.send(query)
        return sock.recv(LONGEST)


def _ask_tcp(query: bytes) -> bytes:
    with socket.create_connection((DNS_IP, 53), TIMEOUT) as sock:
        sock.sendall(struct.pack("!H", len(query)) + query)
        return _read(sock)


def _read(sock: socket.socket) -> bytes:
    head = sock.recv(2, socket.MSG_WAITALL)
    if len(head) != 2:
        raise OSError("the connection was closed")
    return sock.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
