#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the metadata service says, and what it may not say."""

import base64
import json
import os
import time

import namespace
import parts
import server as fault
from parts import token, vgpu
from program import Case, main, read
from server import Server, always

DYNAMIC, PLAIN = "/openstack/latest/vendor_data2.json", "/openstack/latest/vendor_data.json"
PLACE = "/etc/nvidia/ClientConfigToken/client_configuration_token.tok"


class Metadata(Case):
    """The steps up to the token of `configure`; what the settings became is seen in gridd.conf and in `plan`."""

    def setUp(self):
        super().setUp()
        self.service = self.use(Server())

    def say(self, document, path=DYNAMIC):
        self.service.files[path] = document if isinstance(document, bytes) else json.dumps(document).encode()

    def agent(self, **keys):
        return {"vgpu_guest_agent": keys}

    def sets(self, **more):
        return {"metadata.enabled": None, "metadata.url": self.service.base, "metadata.timeout": "2",
                "metadata.sources": "metadata-service", **more}

    def configure(self, **more):
        """There is no nvidia-gridd here to restart: the step before it counts."""
        outcome = self.program.call("configure", "--json", sets=self.sets(**more), sysfs=vgpu())
        value = json.loads(outcome.out)
        self.steps = {each["step"]: each for each in value["steps"]}
        self.last = outcome
        return self.steps

    def installed(self, content=None):
        steps = self.configure()
        self.assertEqual(steps["token"]["outcome"], "changed", self.last)
        self.assertEqual(read(PLACE), content or token())
        return steps

    def warned(self, *words):
        for word in words:
            self.assertRegex(self.last.err, f"warning: metadata: .*{word}")

    def nothing(self):
        steps = self.configure()
        self.assertEqual((steps["metadata"]["outcome"], steps["token"]["outcome"]), ("unchanged", "failed"), self.last)
        return steps

    def feature_type(self):
        return next(line for line in read("/etc/nvidia/gridd.conf").decode().splitlines() if line.startswith("FeatureType="))


class Silence(Metadata):
    """A service that is silent is no service that says nothing: what it said last stays."""

    def setUp(self):
        super().setUp()
        self.say(self.agent(client_token=token().decode(), license={"feature_type": 4}))
        self.installed()

    def gone(self):
        self.service.httpd.shutdown()
        self.service.httpd.server_close()

    def stays(self):
        steps = self.configure()
        self.assertEqual(read(PLACE), token(), self.last)
        self.assertEqual((steps["token"]["outcome"], self.feature_type()), ("unchanged", "FeatureType=4"), self.last)
        self.warned("silent")

    def test_refused(self):
        self.gone()
        self.stays()

    def test_in_trouble(self):
        self.service.faults[DYNAMIC] = always(fault.status(503))
        self.stays()

    def test_a_service_behind_it_that_failed(self):
        self.say({"static": {}, "vendor": {}})
        self.stays()

    def test_half_of_what_it_said(self):
        self.service.faults[DYNAMIC] = always(fault.status(500))
        self.say(self.agent(license={"feature_type": 2}), PLAIN)
        self.stays()

    def test_one_that_has_nothing_more_to_say_is_believed(self):
        for document in ({}, {"static": {}}, {"other": {"x": 1}}):
            with self.subTest(document):
                self.say(document)
                self.configure()
                self.assertEqual(self.feature_type(), "FeatureType=1", self.last)

    def test_what_is_remembered_holds_no_token_and_is_roots_alone(self):
        path = "/var/lib/vgpu-guest-agent/metadata.json"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        kept = read(path)
        self.assertNotIn(token()[:40], kept)
        self.assertEqual(json.loads(kept)["object"], {"license": {"feature_type": 4}})
        before = os.stat(path)
        self.configure()
        self.assertEqual(os.stat(path).st_ino, before.st_ino)

    def test_a_record_that_is_damaged_is_none(self):
        with open("/var/lib/vgpu-guest-agent/metadata.json", "w", encoding="utf-8") as kept:
            kept.write('{"schema": 1, "object": [1]')
        self.gone()
        self.configure()
        self.assertEqual(self.feature_type(), "FeatureType=1", self.last)


class Sources(Metadata):
    def test_the_token_of_vendor_data2(self):
        self.say(self.agent(client_token=token().decode()))
        steps = self.installed()
        self.assertIn("vendor_data2.json", steps["metadata"]["detail"])

    def test_one_level_down_under_a_services_name(self):
        self.say({"my-service": self.agent(client_token=token().decode()), "another": {"x": 1}})
        self.installed()

    def test_under_a_service_that_is_called_as_the_object(self):
        for document in ({"vgpu_guest_agent": self.agent(client_token=token().decode())},
                         {"static": {}, "vgpu_guest_agent": self.agent(client_token=token().decode())},
                         {"vendor": {"vgpu_guest_agent": self.agent(client_token=token().decode())}}):
            with self.subTest(document):
                self.say(document)
                self.configure()
                self.assertEqual(read(PLACE), token(), self.last)
                os.unlink(PLACE)

    def test_the_token_of_vendor_data(self):
        self.say(self.agent(client_token=token().decode()), PLAIN)
        self.installed()

    def test_in_vendor_data_it_is_not_looked_for_one_level_down(self):
        self.say({"x": self.agent(client_token=token().decode())}, PLAIN)
        self.nothing()

    def test_per_key_the_first_found_counts(self):
        self.say(self.agent(client_token=token().decode()))
        self.say(self.agent(client_token="another", license={"feature_type": 2}), PLAIN)
        self.installed()
        self.assertEqual(self.feature_type(), "FeatureType=2")

    def test_the_token_in_base64(self):
        self.say(self.agent(client_token_base64=base64.b64encode(token("--crlf")).decode()))
        self.installed(token("--crlf"))

    def test_a_base64_of_garbage(self):
        self.say(self.agent(client_token_base64="!!!"))
        self.nothing()
        self.warned("base64")

    def test_it_wins_over_the_token_of_the_configuration(self):
        self.say(self.agent(client_token=token().decode()))
        path = self.write("t", token("--bad-signature"))
        self.configure(**{"license.token_file": path})
        self.assertEqual(read(PLACE), token())

    def test_a_file_of_the_command_line_is_asked_for_alone(self):
        self.say(self.agent(client_token=token().decode()))
        self.program.call("token", "install", self.write("t", token("--bad-signature")), sets=self.sets(), sysfs=vgpu())
        self.assertEqual(read(PLACE), token("--bad-signature"))
        self.assertEqual(self.service.requests, [])

    def test_a_damaged_token_is_status_11_and_the_old_one_stays(self):
        self.say(self.agent(client_token=token().decode()))
        self.installed()
        self.say(self.agent(client_token=token("--half").decode()))
        self.assertEqual(self.configure()["token"]["outcome"], "failed")
        self.assertEqual(self.last.status, 11)
        self.assertIn("vendor_data2.json", self.last.err)
        self.assertEqual(read(PLACE), token())

    def test_its_text_is_in_no_output(self):
        self.say(self.agent(client_token=token("--half").decode()))
        self.configure()
        text = token("--half").decode()
        self.assertFalse(any(text[at:at + 30] in self.last.out + self.last.err for at in range(0, len(text) - 30, 30)))

    def test_the_tenants_meta_and_user_data_are_not_read(self):
        self.say({"meta": self.agent(client_token=token().decode())}, "/openstack/latest/meta_data.json")
        self.say(self.agent(client_token=token().decode()), "/openstack/latest/user_data")
        self.nothing()
        self.assertEqual({request.path for request in self.service.requests}, {DYNAMIC, PLAIN})


class Keys(Metadata):
    def test_the_repository(self):
        repository = self.use(parts.Repository()).name(parts.RUN)
        self.say(self.agent(driver={"repository": repository.url}))
        plan = self.json("plan", sets=self.sets(**{"http.ca_file": parts.ca_file()}), sysfs=vgpu())
        self.assertEqual(plan["driver"]["url"], repository.url + parts.RUN)

    def test_a_pin_of_the_configuration_never_meets_its_file(self):
        config = self.write("agent.conf", f'driver: {{ url = "https://h.example/a.run"; sha256 = "{"a" * 64}"; }};\n')
        self.say(self.agent(driver={"url": "https://h.example/b.run"}))
        driver = self.json("plan", "--config", config, sets=self.sets(), sysfs=vgpu())["driver"]
        self.assertEqual((driver["url"], driver["sha256"], driver["integrity"]), ("https://h.example/b.run", None, "tls"))

    def test_the_command_line_wins(self):
        self.say(self.agent(license={"feature_type": 2}))
        self.configure(**{"license.feature_type": "4"})
        self.assertEqual(self.feature_type(), "FeatureType=4")

    def test_options_of_gridd(self):
        self.say(self.agent(license={"gridd": {"LicenseInterval": 60, "EnableUI": False}}))
        self.configure()
        text = read("/etc/nvidia/gridd.conf").decode()
        self.assertIn("LicenseInterval=60\n", text)
        self.assertIn("EnableUI=FALSE\n", text)

    def test_unknown_keys_are_a_warning(self):
        self.say(self.agent(client_token=token().decode(), later={"x": 1}, driver={"newer": 1}))
        self.installed()
        self.warned("later", "driver.newer")

    def test_keys_that_are_not_its_own_are_a_warning_and_no_setting(self):
        self.say(self.agent(client_token=token().decode(), driver={"integrity": "warn"}, license={"token_mode": "0777"},
                            http={"proxy": "http://evil.example"}))
        self.installed()
        self.warned("driver.integrity", "license.token_mode", "http")
        self.assertEqual(os.stat(PLACE).st_mode & 0o777, 0o744)

    def test_a_mistyped_pin_is_an_error(self):
        self.say(self.agent(driver={"url": "https://h.example/a.run", "sha256": "abc"}))
        self.error(2, "metadata", "driver.sha256", "plan", sets=self.sets(), sysfs=vgpu())

    def test_switched_off(self):
        self.say(self.agent(client_token=token().decode()))
        steps = self.configure(**{"metadata.enabled": "false"})
        self.assertEqual(steps["metadata"]["outcome"], "skipped")
        self.assertEqual(self.service.requests, [])

    def test_offline_it_is_not_asked(self):
        self.say(self.agent(client_token=token().decode()))
        self.program.call("configure", "--offline", sets=self.sets())
        self.assertEqual(self.service.requests, [])


class Answers(Metadata):
    def test_no_service_is_no_error(self):
        self.service.__exit__()
        begin = time.monotonic()
        steps = self.nothing()
        self.assertNotIn("warning: metadata", self.last.err)
        self.assertIn("absent", steps["metadata"]["detail"])
        self.assertLess(time.monotonic() - begin, 20)

    def test_a_service_without_vendor_data(self):
        self.nothing()
        self.assertNotIn("warning: metadata", self.last.err)

    def test_an_empty_object_under_a_services_name_is_asked_again(self):
        empty = always(lambda handler: handler.answer(200, b'{"my-service": {}}'))
        good = json.dumps({"my-service": self.agent(client_token=token().decode())}).encode()
        self.service.faults[DYNAMIC] = [empty.pop(0), lambda handler: handler.answer(200, good)]
        self.configure(**{"metadata.timeout": "10"})
        self.assertEqual(read(PLACE), token())

    def test_an_empty_object_until_time_is_up_is_a_warning(self):
        self.say({"my-service": {}})
        self.nothing()
        self.warned("vendor_data2.json")

    def test_a_wholly_empty_document_is_not_asked_again(self):
        self.say({})
        self.nothing()
        self.assertEqual([request.path for request in self.service.requests].count(DYNAMIC), 1)

    def test_garbage_is_a_warning(self):
        for body in (b"", b"[]", b"null", b"{", b'{"vgpu_guest_agent": 7}', b"\xff\xfe",
                     b"<html>login</html>", b"[" * 100000, b'{"a":' * 5000):
            with self.subTest(body[:40]):
                self.say(body)
                self.nothing()
                self.assertEqual(self.last.status, 11, self.last)

    def test_huge_answers(self):
        for body in (b" " * (20 << 20), json.dumps(self.agent(client_token="a" * (2 << 20))).encode()):
            self.say(body)
            self.configure()
            self.assertIn(self.last.status, (1, 11), self.last)
            self.assertFalse(os.path.exists(PLACE))

    def test_faults_of_the_service_do_not_stop_what_needs_it_not(self):
        path = self.write("t", token())
        for name, each in (("500", fault.status(500)), ("closed", fault.close()), ("cut", fault.cut(after=3)),
                           ("silent", fault.silence()), ("noise", fault.raw(b"\x00\x01\x02\r\n\r\n")),
                           ("endless redirects", fault.redirect(DYNAMIC))):
            with self.subTest(name):
                self.say(self.agent(client_token="x" * 100))
                self.service.faults[DYNAMIC] = always(each)
                begin = time.monotonic()
                self.configure(**{"license.token_file": path})
                self.assertEqual(read(PLACE), token())
                self.assertLess(time.monotonic() - begin, 15)

    def test_no_proxy_is_used_for_it(self):
        proxy = self.use(Server())
        self.say(self.agent(client_token=token().decode()))
        self.program.call("configure", sets=self.sets(**{"http.proxy": proxy.base}), sysfs=vgpu(),
                          env={"http_proxy": proxy.base, "all_proxy": proxy.base})
        self.assertEqual(read(PLACE), token())
        self.assertEqual(proxy.requests, [])

    def test_no_credentials_are_sent_to_it(self):
        netrc = self.write("netrc", "default login me password opensesame\n", 0o600)
        header = self.write("header", "X-Guard: opensesame\n", 0o600)
        self.configure(**{"http.netrc_file": netrc, "http.header_file": header})
        self.assertNotIn("opensesame", "".join(str(request.headers) for request in self.service.requests))
        self.assertTrue(self.service.requests)

    def test_the_address_that_is_built_in(self):
        here = self.use(Server(address=namespace.METADATA_ADDRESS, port=80))
        here.files[DYNAMIC] = json.dumps(self.agent(client_token=token().decode())).encode()
        self.configure(**{"metadata.url": None})
        self.assertEqual(read(PLACE), token())


if __name__ == "__main__":
    main(__file__)
