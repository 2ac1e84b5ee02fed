#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The reference vendordata service, asked as nova asks; and by nova itself where python3-nova is installed: known and unknown projects,
a service that is slow, that is down, that is no TLS, clients that say nothing."""
import concurrent.futures
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SHIPPED = os.path.join(HERE, "../../cloud-init/openstack")
sys.path.insert(0, os.path.join(HERE, "../http"))
from authority import Authority  # noqa: E402

try:
    import nova.conf
    from nova.api.metadata import vendordata_dynamic
except ImportError:
    nova = None

PROJECT = "c0ffee00c0ffee00c0ffee00c0ffee00"
TOKEN = "eyJ.eyJ.sig-one"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.authority = Authority(f"{self.folder}/ca")
        self.authority.issue("server")
        self.authority.issue("client")
        os.mkdir(f"{self.folder}/tokens")
        self.write(f"tokens/{PROJECT}.tok", TOKEN)
        self.write("secret", "not to be had")
        self.start()

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def start(self, *more):
        self.process = subprocess.Popen(
            [f"{SHIPPED}/vendordata-service", "--port", "0", "--cert", self.authority.path("server.pem"),
             "--key", self.authority.path("server.key"), "--object", f"{SHIPPED}/object.json", "--tokens", f"{self.folder}/tokens", *more],
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.port = int(self.process.stderr.readline().rsplit(" ", 1)[1])

    def stop(self):
        self.process.terminate()
        self.said = self.process.communicate(timeout=20)[1]

    def client(self, certificate=None):
        context = ssl.create_default_context(cafile=self.authority.path("ca.pem"))
        if certificate:
            context.load_cert_chain(self.authority.path(f"{certificate}.pem"), self.authority.path(f"{certificate}.key"))
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)

    def post(self, body, certificate=None, headers=None):
        connection = self.client(certificate)
        try:
            connection.request("POST", "/", body if isinstance(body, (str, bytes)) else json.dumps(body), headers or {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def ask(self, project):
        return self.post({"project-id": project, "instance-id": "x", "user-data": None, "hostname": "vm", "metadata": {}})


class Service(Case):
    def test_a_project_gets_its_own_token_and_the_object(self):
        self.write("tokens/other.tok", "eyJ.eyJ.sig-two")
        with open(f"{SHIPPED}/object.json", encoding="utf-8") as file:
            ours = json.load(file)
        self.assertEqual(self.ask(PROJECT), (200, {"vgpu_guest_agent": {**ours, "client_token": TOKEN}}))
        self.assertEqual(self.ask("other")[1]["vgpu_guest_agent"]["client_token"], "eyJ.eyJ.sig-two")

    def test_a_token_is_rotated_by_its_file(self):
        self.ask(PROJECT)
        self.write(f"tokens/{PROJECT}.tok", "eyJ.eyJ.sig-new")
        self.assertEqual(self.ask(PROJECT)[1]["vgpu_guest_agent"]["client_token"], "eyJ.eyJ.sig-new")

    def test_an_unknown_project_gets_nothing(self):
        self.assertEqual(self.ask("d00d"), (404, {}))

    def test_what_is_no_project_gets_nothing(self):
        for project in ("../secret", "/etc/passwd", "..", "", "a" * 65, "a\0", "a b", None, 7, ["x"]):
            with self.subTest(project):
                self.assertEqual(self.ask(project), (400, {}))

    def test_bodies_that_are_none(self):
        for body in ("", "{", "[]", "null", b"\xff\xfe", '{"project-id": {}}'):
            with self.subTest(body):
                self.assertEqual(self.post(body)[0], 400)
        self.assertEqual(self.post("{}", headers={"Content-Length": str(1 << 30)})[0], 400)

    def test_no_token_is_told(self):
        self.ask(PROJECT)
        self.ask("d00d")
        self.stop()
        self.assertIn(f"200 project {PROJECT}", self.said)
        self.assertIn("404 no ", self.said)
        self.assertNotIn(TOKEN, self.said)

    def test_silent_clients_keep_nobody_waiting(self):
        """Before, in and after the handshake."""
        silent = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(20)]
        for each in silent[:10]:
            each.send(b"\x16\x03\x01\x02\x00")
        self.assertEqual(self.ask(PROJECT)[0], 200)
        for each in silent:
            each.close()

    def test_many_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            self.assertEqual(set(pool.map(lambda _: self.ask(PROJECT)[0], range(200))), {200})

    def test_only_clients_of_the_authority(self):
        self.stop()
        self.start("--client-ca", self.authority.path("ca.pem"))
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            self.ask(PROJECT)
        self.assertEqual(self.post({"project-id": PROJECT}, "client")[0], 200)


@unittest.skipUnless(nova, "python3-nova is not installed")
class Nova(Case):
    """What vendor_data2.json of a guest holds, by nova's own code with the shipped options."""

    @classmethod
    def setUpClass(cls):
        nova.conf.CONF(["--config-file", f"{SHIPPED}/nova-dynamic.conf"], project="nova", default_config_files=[])
        nova.conf.CONF.set_override("vendordata_dynamic_connect_timeout", 3, "api")
        nova.conf.CONF.set_override("vendordata_dynamic_read_timeout", 1, "api")

    def data(self, project=PROJECT, port=None, scheme="https"):
        conf = nova.conf.CONF
        conf.set_override("vendordata_dynamic_targets", [f"vgpu@{scheme}://127.0.0.1:{port or self.port}/"], "api")
        conf.set_override("vendordata_dynamic_ssl_certfile", self.authority.path("ca.pem"), "api")
        conf.set_override("certfile", self.authority.path("client.pem"), "vendordata_dynamic_auth")
        conf.set_override("keyfile", self.authority.path("client.key"), "vendordata_dynamic_auth")
        vendordata_dynamic._SESSION = None  # it would keep the certificates of the test before
        instance = types.SimpleNamespace(project_id=project, uuid="u", image_ref="i", user_data=None, hostname="vm", metadata={},
                                         system_metadata={})
        return vendordata_dynamic.DynamicVendorData(instance=instance).get()

    def test_a_known_project(self):
        self.stop()
        self.start("--client-ca", self.authority.path("ca.pem"))
        self.assertEqual(self.data()["vgpu"]["vgpu_guest_agent"]["client_token"], TOKEN)

    def test_an_unknown_project_boots_with_an_empty_object(self):
        self.assertEqual(self.data("d00d"), {"vgpu": {}})

    def test_a_service_that_is_down(self):
        self.stop()
        self.assertEqual(self.data(), {"vgpu": {}})

    def test_a_service_that_is_slow(self):
        with socket.create_server(("127.0.0.1", 0)) as slow:
            self.assertEqual(self.data(port=slow.getsockname()[1]), {"vgpu": {}})

    def test_a_service_with_a_certificate_of_others(self):
        others = Authority(f"{self.folder}/others")
        self.authority.path = others.path
        others.issue("client")
        self.assertEqual(self.data(), {"vgpu": {}})


if __name__ == "__main__":
    unittest.main()
