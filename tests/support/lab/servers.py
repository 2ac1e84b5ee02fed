# SPDX-License-Identifier: Apache-2.0
"""The servers around a guest, all inside its network namespace:

- nginx over https with a certificate of a throw-away authority; the folder it serves has a PULP_MANIFEST as Pulp writes it;
- the metadata service on 169.254.169.254, from files, with faults on demand;
- a gateway that fetches for the guest's apt from the mirror of this machine, and from nowhere else.

The folder of the servers:
  repository/       served under /pulp/content/nvidia/; publish() keeps PULP_MANIFEST
  metadata/         served by the metadata service, e.g. openstack/latest/vendor_data2.json
  metadata.fault    one word while it exists: down (503), empty (200, no byte), slow (5 s before each answer), missing (404)
  *.log             one line per request; ca.pem is what a client has to trust
"""
import ctypes
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from . import gateway, network
from .base import ENVIRONMENT, LabError, output

REPOSITORY_URL = f"https://{network.REPOSITORY_NAME}/pulp/content/nvidia/"

NGINX = """
daemon off; user root; worker_processes 1; pid {home}/nginx.pid; error_log {home}/nginx-error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log {home}/repository.log;
  client_body_temp_path {home}/tmp; proxy_temp_path {home}/tmp; fastcgi_temp_path {home}/tmp;
  uwsgi_temp_path {home}/tmp; scgi_temp_path {home}/tmp;
  default_type application/octet-stream; sendfile on;
  server {{
    listen {address}:443 ssl; server_name {name};
    ssl_certificate {home}/server.pem; ssl_certificate_key {home}/server.key; ssl_protocols TLSv1.2 TLSv1.3;
    location /pulp/content/nvidia/ {{ alias {home}/repository/; autoindex on; }}
    location / {{ return 404; }}
  }}
}}
"""


def authority(home):
    """A certificate authority and a server certificate by it, both for a week."""
    run = functools.partial(output, "openssl")
    os.makedirs(home, exist_ok=True)
    ca, key = f"{home}/ca.pem", f"{home}/ca.key"
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "7",
        "-subj", "/CN=throw-away authority", "-keyout", key, "-out", ca)
    run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", f"/CN={network.REPOSITORY_NAME}", "-keyout", f"{home}/server.key", "-out", f"{home}/server.csr")
    with open(f"{home}/server.ext", "w") as file:
        file.write(f"subjectAltName=DNS:{network.REPOSITORY_NAME},IP:{network.REPOSITORY}\n")
    run("x509", "-req", "-in", f"{home}/server.csr", "-CA", ca, "-CAkey", key, "-CAcreateserial", "-days", "7",
        "-extfile", f"{home}/server.ext", "-out", f"{home}/server.pem")


def publish(home, *files):
    """Put files into the repository and write its PULP_MANIFEST anew: relative path, SHA-256, size; the newest first."""
    folder = f"{home}/repository"
    os.makedirs(folder, exist_ok=True)
    for file in files:
        target = os.path.join(folder, os.path.basename(file))
        if os.path.exists(target):
            os.unlink(target)
        shutil.copy(file, target)
    rows = []
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            relative = os.path.relpath(path, folder)
            if relative == "PULP_MANIFEST":
                continue
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            rows.append((os.stat(path).st_mtime_ns, f"{relative},{digest},{os.path.getsize(path)}\n"))
    with open(f"{folder}/PULP_MANIFEST.new", "w") as file:
        file.writelines(row for _, row in sorted(rows, reverse=True))
    os.rename(f"{folder}/PULP_MANIFEST.new", f"{folder}/PULP_MANIFEST")


def withdraw(home, name):
    os.unlink(f"{home}/repository/{name}")
    publish(home)


def metadata(home, agent=None, document="vendor_data2.json"):
    """Let the metadata service say {"vgpu_guest_agent": agent} in this document; None takes the document away."""
    folder = f"{home}/metadata/openstack/latest"
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/{document}"
    if agent is None:
        if os.path.exists(path):
            os.unlink(path)
        return
    with open(f"{path}.new", "w") as file:
        json.dump({"vgpu_guest_agent": agent}, file)
    os.rename(f"{path}.new", path)


class Metadata(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    home = ""

    def __init__(self, *args):
        super().__init__(*args, directory=f"{self.home}/metadata")

    def do_GET(self):
        try:
            with open(f"{self.home}/metadata.fault") as file:
                fault = file.read().strip()
        except FileNotFoundError:
            fault = ""
        if fault == "slow":
            time.sleep(5)
        answers = {"down": 503, "missing": 404, "empty": 200}
        if fault not in answers:
            super().do_GET()
            return
        self.send_response(answers[fault])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def list_directory(self, path):
        self.send_error(404)

    def log_message(self, format, *args):
        with open(f"{self.home}/metadata.log", "a") as file:
            file.write(format % args + "\n")


def listen(address, port):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(64)
    return listener


def serve(handler, listener):
    """Answer connections of a socket that was bound elsewhere, each in a thread of its own."""
    server = http.server.ThreadingHTTPServer(listener.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def nginx_answers(name):
    with network.inside(name):
        try:
            socket.create_connection((network.REPOSITORY, 443), timeout=1).close()
            return True
        except OSError:
            return False


def run(home, name, ready):
    """Serve until SIGTERM. ready is called once everything answers."""
    for folder in ("repository", "metadata", "tmp"):
        os.makedirs(f"{home}/{folder}", exist_ok=True)
    if not os.path.exists(f"{home}/ca.pem"):
        authority(home)
    publish(home)
    with open(f"{home}/nginx.conf", "w") as file:
        file.write(NGINX.format(home=home, address=network.REPOSITORY, name=network.REPOSITORY_NAME))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to whoever started us, who then stops us
    with network.inside(name):
        serve(type("Metadata", (Metadata,), {"home": home}), listen(network.METADATA, 80))
        way_out = listen(network.REPOSITORY, network.GATEWAY_PORT)
        nginx = subprocess.Popen(["nginx", "-c", f"{home}/nginx.conf", "-p", home, "-e", f"{home}/nginx-error.log"],
                                 env=ENVIRONMENT, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    serve(gateway.handler(home), way_out)
    try:
        deadline = time.monotonic() + 20
        while not nginx_answers(name):
            if nginx.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"nginx did not start, see {home}/nginx-error.log")
            time.sleep(0.05)
        ready()
        nginx.wait()
        raise LabError("nginx ended")
    finally:
        nginx.terminate()
        nginx.wait()


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(home, name):
    """Start the servers as a process of their own and return when they answer."""
    home = os.path.abspath(home)
    os.makedirs(home, exist_ok=True)
    reader, writer = os.pipe()
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(f"{home}/servers.log", "a") as log:
        process = subprocess.Popen([f"{here}/servers", "run", home, "--netns", name, "--ready-fd", str(writer)],
                                   env=os.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   pass_fds=[writer], start_new_session=True)
    os.close(writer)
    with open(f"{home}/servers.pid", "w") as file:
        file.write(f"{process.pid}\n")
    with os.fdopen(reader) as pipe:
        if pipe.read() != "ready\n":
            with open(f"{home}/servers.log") as log:
                raise LabError(f"the servers did not start:\n{log.read()[-2000:]}")


def stop(home):
    try:
        with open(f"{home}/servers.pid") as file:
            pid = int(file.read())
        os.unlink(f"{home}/servers.pid")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if os.path.abspath(home).encode() not in file.read().split(b"\0"):
                return
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return
    for _ in range(100):
        try:
            os.kill(pid, 0)
            os.waitpid(pid, os.WNOHANG)
        except (ChildProcessError, ProcessLookupError):
            if not os.path.exists(f"/proc/{pid}"):
                return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
