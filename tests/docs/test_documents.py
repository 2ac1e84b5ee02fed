#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The fenced commands of the documents, as they stand there: run_NAME() makes the world that the block called NAME needs, runs the
block's own text, and looks at what it did. Below an overlay of this machine that is thrown away (tests/cli/namespace.py)."""
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cli")]
import namespace  # noqa: E402

if __name__ == "__main__" and not namespace.is_inside():
    sys.exit(namespace.enter(__file__))

import documents  # noqa: E402
import parts  # noqa: E402
from program import Case, main, read, remove, write  # noqa: E402

CONF = "/etc/vgpu-guest-agent/agent.conf"
QUIET = 'metadata: { enabled = false; };\nhttp: { retries = 0; connect_timeout = 5; };\n'
REPORT = read(os.path.join(parts.TESTS, "data/smi/510-vgpu-licensed.txt")).decode()
SUDO = '#!/bin/sh\nexec "$@"\n'
RECORDS = '#!/bin/sh\necho "${0##*/} $*" >>"$CALLED"\n'


class Documents(Case):
    def setUp(self):
        super().setUp()
        self.bin = self.path("bin")
        write(f"{self.bin}/sudo", SUDO, 0o755)
        os.symlink(self.program.path, f"{self.bin}/vgpu-guest-agent")
        self.called = self.path("called")
        self.work = self.path("work")
        os.mkdir(self.work)

    def guest(self):
        """A guest with a vGPU whose driver says Licensed."""
        shutil.copytree(f'{parts.vgpu("510.47.03", "r511_65")}/bus', "/sys/bus", symlinks=True, dirs_exist_ok=True)
        write("/usr/bin/nvidia-smi", f"#!/bin/sh\ncat <<'END'\n{REPORT}\nEND\n", 0o755)
        self.addCleanup(remove, "/usr/bin/nvidia-smi")
        write(CONF, QUIET)

    def record(self, *names):
        for name in names:
            write(f"{self.bin}/{name}", RECORDS, 0o755)

    def environment(self):
        return {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "CALLED": self.called}

    def shell(self, text, statuses=(0,), cwd=None):
        done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", text], cwd=cwd or self.work, env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertIn(done.returncode, statuses, f"{text}\n{done.stdout}")
        return done.stdout

    def lines(self, text, statuses=(0,)):
        """Each line by itself: the first may well end with a status that says something."""
        return [self.shell(line, statuses) for line in text.splitlines()]

    def run_agent_conf(self, text):
        write(CONF, text)
        self.assertIn('driver.repository            = "https://pulp.example/pulp/content/nvidia/"', self.shell("vgpu-guest-agent config show"))

    def run_metrics_conf(self, text):
        write(CONF, text)
        self.assertIn("vgpu.prom", self.shell("vgpu-guest-agent config show"))

    def run_vendor_object(self, text):
        """Each key is one that the metadata may set, beside the token."""
        ours = json.loads(text)["vgpu_guest_agent"]
        self.assertIsInstance(ours.pop("client_token"), str)
        with open(os.path.join(namespace.build(), "agent/manual/tables.json"), encoding="utf-8") as file:
            allowed = {key["path"] for key in json.load(file)["keys"] if key["metadata"]}
        self.assertLessEqual({f"{group}.{key}" for group, keys in ours.items() for key in keys}, allowed)

    def run_tenant_status(self, text):
        self.guest()
        self.assertIn("Licensed", self.shell(text))

    def run_tenant_doctor(self, text):
        self.guest()
        said = self.lines(text, (0, 1, 4, 12, 13))
        self.assertIn("Checks", said[1])

    def run_path(self, text):
        self.run_tenant_doctor(text)

    def run_host_version(self, text):
        """The repository is one that can be had here; the second line finds it in agent.conf."""
        repository = self.use(parts.Repository())
        repository.name(*(f"NVIDIA-Linux-x86_64-{version}-grid.run" for version in ("535.161.08", "550.90.07", "570.86.10")))
        write(CONF, f'metadata: {{ enabled = false; }};\nhttp: {{ ca_file = "{parts.ca_file()}"; }};\ndriver: {{ repository = "{repository.url}"; }};\n')
        first, second = self.lines(text.replace("https://pulp.example/pulp/content/nvidia/", repository.url))
        self.assertIn("Driver  550.90.07", first)
        self.assertEqual(json.loads(second[second.index("{"):])["kernels"], [{"release": "6.1.0-37-cloud-amd64", "action": "build"}])

    def run_tenant_bundle(self, text):
        self.guest()
        self.lines(text, (0, 12, 13))
        self.assertIn("status.json", self.shell("tar -tzf support.tar.gz"))

    def run_tenant_token(self, text):
        self.guest()
        write(f"{self.work}/client_configuration_token.tok", parts.token("--host", "license.example"))
        check, install = text.splitlines()
        self.shell(check)
        self.shell(install, (1,))  # no systemd here that could restart the daemon
        self.assertEqual(read("/etc/nvidia/ClientConfigToken/client_configuration_token.tok"), parts.token("--host", "license.example"))

    def run_unit(self, text):
        units = self.path("units")
        write(f"{units}/example.service", text)
        for name in ("vgpu-licensed.target", "vgpu-licensed-wait.service"):
            shutil.copy(f"{documents.CLONE}/agent/dist/systemd/{name}", units)
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{units}/example.service"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False).stdout
        self.assertNotRegex(said, r"(?m)^(.*/)?example\.service:")

    def run_seal(self, text):
        """seal looks for copies of the token on the whole disk, which here is this machine's."""
        if os.environ.get("VGPU_ALL") != "1":
            self.skipTest("searching this machine's disk takes a minute; VGPU_ALL=1 does it")
        self.guest()
        self.record("cloud-init")
        token = write("/etc/nvidia/ClientConfigToken/client_configuration_token.tok", parts.token())
        self.shell(text)
        self.assertFalse(os.path.exists(token))
        self.assertEqual(read(self.called), b"cloud-init clean --logs\n")

    def run_index(self, text):
        for name in (parts.BUNDLE, parts.RUN):
            shutil.copy(os.path.join(parts.drivers(), name), self.work)
        self.shell(text)
        names = {each["name"] for each in json.loads(read(f"{self.work}/vgpu-index.json"))["files"]}
        self.assertEqual(names, {parts.BUNDLE, parts.RUN})

    def run_sign(self, text):
        write(f"{self.work}/vgpu-index.json", '{"schema":1}')
        self.shell(text)
        self.shell("base64 -d vgpu-index.json.sig >raw && openssl pkeyutl -verify -rawin -pubin -inkey index-pub.pem -sigfile raw -in vgpu-index.json")

    def run_sign_rsa(self, text):
        write(f"{self.work}/vgpu-index.json", '{"schema":1}')
        self.shell("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa-key.pem && "
                   "openssl pkey -in rsa-key.pem -pubout -out rsa-pub.pem")
        self.shell(text)
        self.shell("base64 -d vgpu-index.json.sig >raw && openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify rsa-pub.pem "
                   "-signature raw vgpu-index.json")

    def run_vendor_data(self, text):
        """Between the two lines the operator puts in what is theirs."""
        for name in ("cloud-init", "scripts"):
            os.symlink(os.path.join(documents.CLONE, name), f"{self.work}/{name}")
        copy, make = text.splitlines()
        self.shell(copy)
        settings = read(f"{self.work}/settings.ini").decode().replace("0" * 64, "ab" * 32)
        write(f"{self.work}/settings.ini", settings)
        write(f"{self.work}/client_configuration_token.tok", parts.token())
        self.shell(make)
        ours = json.loads(read(f"{self.work}/vendor-data/vendor-data.json"))["vgpu_guest_agent"]
        self.assertEqual(ours["client_token"], parts.token().decode())

    def run_vendor_data_page(self, text):
        self.run_vendor_data(re.sub(r"  +#.*", "", text))

    def run_vendordata_service(self, text):
        authority = parts.authority()
        authority.issue("client")
        for name in ("cloud-init",):
            os.symlink(os.path.join(documents.CLONE, name), f"{self.work}/{name}")
        for ours, name in (("server.pem", "cert.pem"), ("server.key", "key.pem"), ("ca.pem", "client-ca.pem")):
            shutil.copy(authority.path(ours), f"{self.work}/{name}")
        write(f"{self.work}/tokens/c0ffee.tok", parts.token())
        service = subprocess.Popen(["bash", "-c", f"exec {text}"], cwd=self.work, stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("listening on port 9443", service.stderr.readline())
            context = ssl.create_default_context(cafile=authority.path("ca.pem"))
            context.load_cert_chain(authority.path("client.pem"), authority.path("client.key"))
            asked = urllib.request.Request("https://127.0.0.1:9443/", json.dumps({"project-id": "c0ffee"}).encode())
            with urllib.request.urlopen(asked, context=context, timeout=20) as answer:
                self.assertIn("vgpu_guest_agent", json.load(answer))
        finally:
            service.terminate()
            service.communicate(timeout=20)

    def run_image_conf(self, text):
        self.shell(text)

    def run_publish(self, text):
        """Its own tests run it; here each option that the page names is one that it has."""
        program = f"{documents.CLONE}/scripts/publish-driver"
        if not os.path.exists(program):
            self.skipTest("scripts/publish-driver is not there yet")
        said = self.shell(f"{program} --help")
        page = read(f"{documents.CLONE}/docs/operator.md").decode()
        section = page[page.index("## Publish the drivers"):page.index("### By hand")]
        for option in sorted(set(re.findall(r"`(--[a-z-]+)", section)) | {"--dry-run"}):
            self.assertIn(option, said)
        self.assertIn("publish-driver", text)

    def run_package(self, text):
        """A build of its own, so only with VGPU_ALL=1."""
        if os.environ.get("VGPU_ALL") != "1":
            self.skipTest("the packages are built with VGPU_ALL=1")
        said = subprocess.run(["git", "ls-files", "-z"], cwd=documents.CLONE, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "--null", "-T", "-", "-cf", self.path("tree.tar")], cwd=documents.CLONE, input=said, check=True)
        subprocess.run(["tar", "-C", self.work, "-xf", self.path("tree.tar")], check=True)
        self.record("systemctl")
        self.shell(text.replace("apt install ", "apt install -y "))
        self.assertIn("vgpu-guest-agent", self.shell("dpkg-query -W vgpu-guest-agent"))


def claim(name):
    return lambda self: getattr(self, f"run_{name}")(documents.text_of(name.replace("_", "-")))


for each in [name.removeprefix("run_") for name in dir(Documents) if name.startswith("run_")]:
    setattr(Documents, f"test_{each}", claim(each))

if __name__ == "__main__":
    main(__file__)
