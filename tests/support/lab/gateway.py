# SPDX-License-Identifier: Apache-2.0
"""The way out for a guest's apt: a forward proxy whose socket lies in the guest's network namespace while it fetches in
this machine's. It serves only the hosts that this machine's own apt uses; proxies of this machine are respected.
"""
import http.server
import os
import re
import select
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request

from . import base

HOP = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "host", "proxy-authorization"}


def upstream(scheme):
    """This machine's own proxy for apt, or None."""
    for name in (f"Acquire::{scheme}::Proxy", "Acquire::http::Proxy"):
        match = re.search(r'"(.+)"', base.output("apt-config", "dump", "--format", '"%v"%n', name))
        if match and match.group(1) != "DIRECT":
            return match.group(1)
    return os.environ.get(f"{scheme}_proxy") or os.environ.get("http_proxy")


def handler(home):
    """The handler's class; mirrors and proxies are read once, here."""
    _, lines = base.sources()
    urls = [re.search(r"https?://\S+", line) for line in lines]
    hosts = {urllib.parse.urlsplit(url.group(0)).hostname for url in urls if url}
    proxies = {scheme: upstream(scheme) for scheme in ("http", "https")}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({s: p for s, p in proxies.items() if p}))
    return type("Gateway", (Gateway,), {"home": home, "hosts": hosts, "proxies": proxies, "opener": opener})


class Gateway(http.server.BaseHTTPRequestHandler):
    home, hosts, proxies, opener = "", set(), {}, None

    def refuse(self, host):
        """Whether this host is not ours to fetch from, or a test says that the mirror is down."""
        if os.path.exists(f"{self.home}/gateway.down"):
            self.send_error(403, "the test says the mirror is down")
            return True
        if host not in self.hosts:
            self.send_error(403, "not this machine's mirror")
            return True
        return False

    def do_GET(self):
        if self.refuse(urllib.parse.urlsplit(self.path).hostname):
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        try:
            answer = self.opener.open(urllib.request.Request(self.path, headers=headers), timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            self.send_error(502, str(error))
            return
        with answer:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def do_CONNECT(self):
        host, _, port = self.path.rpartition(":")
        if self.refuse(host if port == "443" else None):
            return
        proxy = urllib.parse.urlsplit(self.proxies["https"]) if self.proxies["https"] else None
        target = (proxy.hostname, proxy.port or 3128) if proxy else (host, 443)
        with socket.create_connection(target, timeout=60) as far:
            if proxy:
                far.sendall(f"CONNECT {self.path} HTTP/1.1\r\nHost: {self.path}\r\n\r\n".encode())
            else:
                self.send_response(200)
                self.end_headers()
            splice(self.connection, far)

    def log_message(self, format, *args):
        with open(f"{self.home}/gateway.log", "a") as file:
            file.write(format % args + "\n")


def splice(near, far):
    while True:
        for source in select.select([near, far], [], [], 120)[0] or [None]:
            data = source.recv(65536) if source else b""
            if not data:
                return
            (far if source is near else near).sendall(data)
