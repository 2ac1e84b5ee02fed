# SPDX-License-Identifier: Apache-2.0
"""Many real agents that fetch at once from one server that is too small for them; and more of them, simulated with what was measured.

The server is nginx with a limit of connections and one of requests, which answer 503 with Retry-After; and every few seconds it drops
what it serves, as one that is restarted does. Each agent has a path of its own, which is how the log tells them apart."""
import collections
import ctypes
import heapq
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from lab import base, network, scene, servers

NEVER, SLOW, SOON, BUSY = range(4)  # enum retry_class

NGINX = """
daemon off; user root; worker_processes 1; worker_rlimit_nofile 4096; worker_shutdown_timeout 1s;
pid {home}/nginx.pid; error_log {home}/nginx-error.log error;
events {{ worker_connections 2048; }}
http {{
  log_format herd '$msec $request_time $status $bytes_sent $request_uri';
  access_log {home}/herd.log herd;
  client_body_temp_path {home}/tmp; proxy_temp_path {home}/tmp; fastcgi_temp_path {home}/tmp;
  uwsgi_temp_path {home}/tmp; scgi_temp_path {home}/tmp;
  default_type application/octet-stream;
  limit_conn_zone $server_addr zone=connections:1m; limit_conn_status 503;
  limit_req_zone $server_addr zone=requests:1m rate={rate}r/s; limit_req_status 503;
  server {{
    listen {address}:443 ssl;
    ssl_certificate {home}/server.pem; ssl_certificate_key {home}/server.key;
    location ~ ^/[0-9]+/(.*)$ {{
      limit_conn connections {connections}; limit_req zone=requests burst=5 nodelay;
      limit_rate {speed}; alias {home}/files/$1; error_page 503 @busy;
    }}
    location @busy {{ internal; add_header Retry-After {after} always; return 503; }}
  }}
}}
"""

Server = collections.namedtuple("Server", "connections rate speed after drops_every")
SERVER = Server(connections=16, rate=20, speed=8 << 20, after=2, drops_every=7)
Request = collections.namedtuple("Request", "began seconds status sent agent path")


class Herd:
    """The namespace, the server and the driver; `run` starts the agents."""

    def __init__(self, build, server, pad):
        self.build, self.server, self.pad = os.path.abspath(build), server, pad

    def __enter__(self):
        os.makedirs(f"{base.CLONE}/build/bench", exist_ok=True)
        self.home = tempfile.mkdtemp(prefix="herd-", dir=f"{base.CLONE}/build/bench")
        self.out = tempfile.mkdtemp(prefix="vgpu-herd-", dir="/dev/shm")  # the server is what is too slow, not this machine's disk
        self.netns, self.nginx = "herd-" + os.path.basename(self.home)[-8:].replace("_", "-"), None
        try:
            network.create(self.netns)
            servers.authority(self.home)
            self.publish()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait()
        network.remove(self.netns)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.out, ignore_errors=True)

    def publish(self):
        for folder in ("files", "tmp"):
            os.makedirs(f"{self.home}/{folder}")
        path = shutil.copy(scene.package("run", scene.DRIVER, scene.HOST, "--pad", str(self.pad)), f"{self.home}/files")
        self.name, self.size = os.path.basename(path), os.path.getsize(path)
        digest = base.output("sha256sum", path).split()[0]
        with open(f"{self.home}/files/PULP_MANIFEST", "w") as file:
            file.write(f"{self.name},{digest},{self.size}\n")
        self.need = self.size + os.path.getsize(f"{self.home}/files/PULP_MANIFEST")
        scene.tool("make-pci", f"{self.home}/sys", "--gpu", "vgpu", "--host-version", scene.HOST, "--branch", "r550_00")
        with open(f"{self.home}/agent.conf", "w") as file:
            file.write(f'http: {{ ca_file = "{self.home}/ca.pem"; }};\nmetadata: {{ enabled = false; }};\ndriver: {{ catalog = "none"; }};\n')

    def start(self):
        with open(f"{self.home}/nginx.conf", "w") as file:
            file.write(NGINX.format(home=self.home, address=network.REPOSITORY, **self.server._asdict()))
        with network.inside(self.netns):
            self.nginx = subprocess.Popen(["nginx", "-c", f"{self.home}/nginx.conf", "-p", self.home, "-e", f"{self.home}/nginx-error.log"],
                                          env=base.ENVIRONMENT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                          preexec_fn=servers.die_with_parent)
        deadline = time.monotonic() + 20
        while not servers.nginx_answers(self.netns):
            if self.nginx.poll() is not None or time.monotonic() > deadline:
                raise base.LabError(f"nginx did not start, see {self.home}/nginx-error.log")
            time.sleep(0.05)

    def agent(self, number):
        folder = f"{self.out}/{number}"
        os.makedirs(folder)
        argv = ["nsenter", f"--net={network.path(self.netns)}", f"{self.build}/agent/vgpu-guest-agent", "--config",
                f"{self.home}/agent.conf", "--sysfs", f"{self.home}/sys", "--set",
                f"driver.repository=https://{network.REPOSITORY}/{number}/", "fetch", "--output", folder]
        with open(f"{self.home}/{number}.log", "w") as log:
            return subprocess.Popen(argv, env=base.ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    preexec_fn=servers.die_with_parent)

    def run(self, count, limit_s, say):
        """All agents at once; the seconds until the last one was done, and the numbers and words of those that failed."""
        began = time.monotonic()
        self.began = time.time()
        living = {number: self.agent(number) for number in range(count)}
        failed, dropped = {}, began
        while living:
            for number, agent in list(living.items()):
                if agent.poll() is None and time.monotonic() - began > limit_s:
                    agent.terminate()
                    agent.wait()
                if agent.poll() is None:
                    continue
                del living[number]
                if agent.returncode:
                    with open(f"{self.home}/{number}.log") as log:
                        failed[number] = log.read()[-500:]
                shutil.rmtree(f"{self.out}/{number}", ignore_errors=True)
            if self.server.drops_every and time.monotonic() - dropped > self.server.drops_every:
                dropped = time.monotonic()
                self.nginx.send_signal(signal.SIGHUP)
                say(f"{dropped - began:4.0f} s: {count - len(living)} of {count} are done")
            time.sleep(0.1)
        return time.monotonic() - began, failed

    def requests(self):
        """What the server saw, by the time it began."""
        found = []
        with open(f"{self.home}/herd.log") as file:
            for line in file:
                ended, seconds, status, sent, uri = line.split()
                agent, path = re.fullmatch(r"/(\d+)/(.*)", uri).groups()
                found.append(Request(float(ended) - float(seconds) - self.began, float(seconds), int(status), int(sent), int(agent), path))
        return sorted(found)


def retries(requests):
    """The times at which an agent asked again for what it had asked for before."""
    seen, times = set(), []
    for request in requests:
        if (request.agent, request.path) in seen:
            times.append(request.began)
        seen.add((request.agent, request.path))
    return times


AROUND = 3  # seconds before and after
FEW = 20  # in a second: more than twice those around it may be chance


def burst(times):
    """How much fuller a second is than the seven around it on average, at the worst: 7 where all ask again at the same moment."""
    counts = collections.Counter(int(moment) for moment in times)
    worst = 0.0
    for second, count in counts.items():
        if count >= FEW:
            mean = sum(counts[second + k] for k in range(-AROUND, AROUND + 1)) / (2 * AROUND + 1)
            worst = max(worst, count / mean)
    return worst


def histogram(times, rows=24):
    """How many asked again in each stretch of time."""
    if not times:
        return ["no retries"]
    step = max(1, -(-int(max(times) + 1) // rows))
    counts = collections.Counter(int(moment // step) for moment in times)
    widest = max(counts.values())
    return [f"{k * step:5d} s {counts[k]:5d} {'#' * (counts[k] * 60 // widest)}" for k in range(max(counts) + 1)]


class Retry(ctypes.Structure):
    """struct retry of worker/http/retry.h."""
    _fields_ = [("limit", ctypes.c_uint), ("base_ms", ctypes.c_uint), ("failures", ctypes.c_uint), ("grown", ctypes.c_uint),
                ("patience", ctypes.c_double)]


def policy(build):
    """worker/http/retry.c itself: what is simulated waits as the agent does."""
    library = ctypes.CDLL(f"{os.path.abspath(build)}/tests/libbench_retry.so")
    library.retry_next.argtypes = [ctypes.POINTER(Retry), ctypes.c_int, ctypes.c_double, ctypes.c_double, ctypes.POINTER(ctypes.c_double)]
    library.retry_next.restype = ctypes.c_bool
    library.retry_progress.argtypes = [ctypes.POINTER(Retry)]
    library.retry_progress.restype = None
    return library


class Simulated:
    """Agents as the policy of retry.c makes them, at a server as it was measured: `service_s` for the whole file, and as many cuts per
    second of a transfer."""

    def __init__(self, library, server, service_s, cuts_per_s, seed):
        self.library, self.server, self.service_s, self.cuts_per_s = library, server, service_s, cuts_per_s
        self.dice = random.Random(seed)
        self.active, self.tokens, self.filled = 0, 6.0, 0.0
        self.times, self.failed, self.refused = [], 0, 0

    def admit(self, now):
        self.tokens = min(6.0, self.tokens + (now - self.filled) * self.server.rate)
        self.filled = now
        if self.tokens < 1 or self.active >= self.server.connections:
            return False
        self.tokens -= 1
        return True

    def again(self, queue, now, guest, kind, after):
        wait = ctypes.c_double()
        if not self.library.retry_next(ctypes.byref(guest["retry"]), kind, after, self.dice.random(), ctypes.byref(wait)):
            self.failed += 1
            return
        self.times.append(now + wait.value)
        heapq.heappush(queue, (now + wait.value, id(guest), "ask", guest))

    def ask(self, queue, now, guest):
        if not self.admit(now):
            self.refused += 1
            self.again(queue, now, guest, BUSY, self.server.after)
            return
        if guest["manifest"]:  # a short answer: then the file, with tries of its own
            guest.update(manifest=False, retry=Retry(limit=8, base_ms=5000))
            heapq.heappush(queue, (now + 0.01, id(guest), "ask", guest))
            return
        self.active += 1
        cut = self.dice.expovariate(self.cuts_per_s) if self.cuts_per_s else float("inf")
        lasts = min(cut, guest["left"])
        guest["left"] -= lasts
        heapq.heappush(queue, (now + lasts, id(guest), "end", guest))

    def run(self, count):
        """All at once; the time at which the last one was done."""
        queue = [(self.dice.random(), n, "ask", {"left": self.service_s, "manifest": True, "retry": Retry(limit=8, base_ms=5000)})
                 for n in range(count)]
        heapq.heapify(queue)
        now = 0.0
        while queue:
            now, _, what, guest = heapq.heappop(queue)
            if what == "ask":
                self.ask(queue, now, guest)
                continue
            self.active -= 1
            if guest["left"] > 1e-9:
                self.library.retry_progress(ctypes.byref(guest["retry"]))
                self.again(queue, now, guest, SOON, 0)
        return now


def measured(requests, name, size):
    """Seconds of a whole transfer, and cuts per second of transfers."""
    served = [request for request in requests if request.path == name and request.status in (200, 206)]
    whole = [request.seconds for request in served if request.sent >= size]
    last = {request.agent: request for request in served}
    cuts = len(served) - len(last)
    return statistics.median(whole) if whole else 0.0, cuts / max(1e-9, sum(request.seconds for request in served)), cuts
