# SPDX-License-Identifier: Apache-2.0
"""What stands between a publisher and Pulp, the stand-in or a real one, and misbehaves on demand.

    with Between(pulp.url) as between:
        between.rules.append(rule)     # rule(n, method, path) -> None: pass on; (status, body, type): answered here; "drop"
        between.after = lambda n, method, path: ...       # once Pulp has answered the n-th request
"""

import http.client
import http.server
import threading
import urllib.parse

HOP = ("connection", "transfer-encoding", "content-length", "host")


class Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP and (name.lower() not in ("date", "server")):
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with owner.lock:
            owner.count += 1
            number = owner.count
            owner.requests.append((self.command, self.path, self.headers))
        for rule in owner.rules:
            made = rule(number, self.command, self.path)
            if made == "drop":
                return
            if made:
                return self.reply(made[0], [("Content-Type", made[2])], made[1])
        target = owner.content if self.path.startswith("/pulp/content/") else owner.target
        parts = urllib.parse.urlsplit(target)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        connection.request(self.command, self.path, body or None, {**headers, "Host": parts.netloc})
        answer = connection.getresponse()
        data = answer.read()
        if owner.after:
            owner.after(number, self.command, self.path)
        self.reply(answer.status, answer.getheaders(), data)
        connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve


class Between:
    def __init__(self, target, content=None, context=None):
        self.target, self.content = target.rstrip("/"), (content or target).rstrip("/")
        self.rules, self.after, self.requests, self.count, self.lock = [], None, [], 0, threading.Lock()
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads, self.httpd.block_on_close, self.httpd.owner = True, False, self
        self.httpd.handle_error = lambda *args: None
        if context:
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.httpd.server_address[1]}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.httpd.shutdown()
        self.httpd.server_close()

    def calm(self):
        self.rules, self.after, self.requests, self.count = [], None, [], 0
