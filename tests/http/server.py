# SPDX-License-Identifier: Apache-2.0
"""A web server that misbehaves on demand. It imitates what Pulp's content app, the proxies in front of it and broken servers
were seen to do.

    with Server() as server:
        server.files["/f"] = b"..."
        server.faults["/f"] = [cut(after=100), None]      # the first request is cut, the second served well
        server.requests                                    # what was asked, with the headers

A fault is a function of the request's handler; `None` serves the file. When the list is used up the file is served; with
`always(fault)` it never is."""

import collections
import gzip
import http.server
import re
import socket
import ssl
import struct
import threading
import time

PIECE = 65536


Request = collections.namedtuple("Request", "command path headers")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Python/3.11 aiohttp/3.9"
    sys_version = ""
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ssl.SSLError:
            self.linger()
        except OSError:
            pass  # the client went away, as some faults want it to

    def linger(self):
        """As good servers do after an alert: a close with unread bytes would reset the connection before the client reads it."""
        try:
            socket.socket.shutdown(self.connection, socket.SHUT_WR)
            self.connection.settimeout(2)
            while socket.socket.recv(self.connection, 4096):
                pass
        except OSError:
            pass

    def do_GET(self):
        owner = self.server.owner
        path = self.path.partition("?")[0]
        owner.requests.append(Request(self.command, self.path, self.headers))
        if owner.guard and not owner.guard(self):
            return self.answer(403, b"no", reason="Access denied.")
        faults = owner.faults.get(path)
        fault = faults.pop(0) if faults else None
        if fault:
            return fault(self)
        return self.serve()

    do_HEAD = do_POST = do_GET

    @property
    def data(self):
        return self.server.owner.files[self.path.partition("?")[0]]

    def asked(self):
        """The range asked for: (start, end), None without one, "bad" for one that cannot be."""
        text = self.headers.get("Range")
        if text is None:
            return None
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", text)
        if not match or int(match[1]) >= len(self.data):
            return "bad"
        return int(match[1]), min(int(match[2] or len(self.data)), len(self.data) - 1) + 1

    def head(self, status, headers, reason=None):
        self.send_response(status, reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status, body=b"", headers=(), reason=None):
        self.head(status, [("Content-Length", str(len(body))), *headers], reason)
        self.wfile.write(body)

    def serve(self, length=True, headers=(), send=None):
        """The file as Pulp serves it. `send` writes the body; without it the whole is written."""
        if self.path.partition("?")[0] not in self.server.owner.files:
            return self.answer(404, b"404: Not Found")
        asked = self.asked()
        if asked == "bad":
            return self.answer(416, b"", [("Content-Range", f"bytes */{len(self.data)}")])
        start, end = asked or (0, len(self.data))
        body = self.data[start:end]
        lines = [("Content-Type", "application/octet-stream"), ("ETag", '"17f-1"'), *headers]
        if length:
            lines.append(("Content-Length", str(len(body))))
        if asked:
            lines.append(("Content-Range", f"bytes {start}-{end - 1}/{len(self.data)}"))
        self.head(206 if asked else 200, lines)
        (send or self.wfile.write)(body)
        return None

    def drop(self):
        self.wfile.flush()
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def chunk(self, data):
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))


def always(fault):
    class Endless(list):
        def pop(self, _index):
            return fault

    return Endless([fault])


# Before the body


def status(code, reason=None, body=b"<html>an error page</html>", headers=()):
    return lambda self: self.answer(code, body, headers, reason)


def close():
    return lambda self: self.drop()


def silence(seconds=20):
    return lambda self: self.server.owner.stopping.wait(seconds)


def raw(data):
    def fault(self):
        self.wfile.write(data)
        self.drop()

    return fault


def redirect(to, code=302):
    return lambda self: self.answer(code, b"302: Found", [("Location", to)])


# The body ends early or late


def cut(after):
    def fault(self):
        self.serve(send=lambda body: (self.wfile.write(body[:after]), self.drop()))

    return fault


def reset(after):
    def send(self, body):
        self.wfile.write(body[:after])
        self.wfile.flush()
        time.sleep(0.05)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    return lambda self: self.serve(send=lambda body: send(self, body))


def stall(after, seconds=20):
    def send(self, body):
        self.wfile.write(body[:after])
        self.wfile.flush()
        self.server.owner.stopping.wait(seconds)
        self.drop()

    return lambda self: self.serve(send=lambda body: send(self, body))


def drip(after, per_second=40):
    def send(self, body):
        self.wfile.write(body[:after])
        for byte in body[after:]:
            self.wfile.write(bytes([byte]))
            if self.server.owner.stopping.wait(1 / per_second):
                break
        self.drop()

    return lambda self: self.serve(send=lambda body: send(self, body))


def cut_without_length(after):
    def fault(self):
        self.serve(length=False, send=lambda body: (self.wfile.write(body[:after]), self.drop()))

    return fault


def chunked(after=None, repeat=1, extra=b"", trailer=b""):
    """`after`: the chunks end in the middle; `repeat`: Pulp's on_demand retries go into the same answer."""

    def send(self, body):
        for _ in range(repeat):
            self.chunk(body[:after])
        self.chunk(extra)
        if after is None:
            self.wfile.write(b"0\r\n" + trailer + b"\r\n")
        else:
            self.drop()

    def fault(self):
        self.serve(length=False, headers=[("Transfer-Encoding", "chunked")], send=lambda body: send(self, body))

    return fault


# What is said of the body is wrong


def corrupt(at):
    def fault(self):
        start = (self.asked() or (0, 0))[0]

        def send(body):
            body = bytearray(body)
            if start <= at < start + len(body):
                body[at - start] ^= 0x55
            self.wfile.write(body)

        self.serve(send=send)

    return fault


def lengths(*values):
    def fault(self):
        self.head(200, [("Content-Length", str(value)) for value in values])
        self.wfile.write(self.data)
        self.drop()

    return fault


def compressed(encoding="gzip"):
    return lambda self: self.answer(200, gzip.compress(self.data), [("Content-Encoding", encoding)])


def ignore_range():
    return lambda self: self.answer(200, self.data)


def partial(content_range=None, start=0):
    """A 206 with this Content-Range whatever was asked for, and the bytes from `start`."""

    def fault(self):
        headers = [("Content-Range", content_range)] if content_range else []
        self.answer(206, self.data[start:], headers)

    return fault


PORTS = set()  # of all servers of this program


class Server:
    def __init__(self, context=None, address="127.0.0.1", port=0):
        self.files, self.faults, self.requests, self.guard = {}, {}, [], None
        self.stopping = threading.Event()
        self.httpd = http.server.ThreadingHTTPServer((address, port), Handler)
        self.httpd.daemon_threads = True
        self.httpd.block_on_close = False
        self.httpd.handle_error = lambda *args: None  # failed handshakes are part of the game
        self.httpd.owner = self
        if context:
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.httpd.server_address[1]
        PORTS.add(self.port)
        self.base = f"{'https' if context else 'http'}://{address}:{self.port}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.stopping.set()
        self.httpd.shutdown()
        self.httpd.server_close()

    @property
    def ranges(self):
        return [request.headers.get("Range") for request in self.requests]
