#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may say what: a value keeps the trust of the layer that it comes from, and a file is believed by its owner and mode."""

import os

import parts
from parts import Repository, token, vgpu
from program import NOBODY, Case, main, read


class Files(Case):
    """Every file that is believed, by one judgement."""

    def settings(self):
        """Setting, content, whether it is a secret, and the command and step that reads it."""
        plan, configure = ("plan", "match"), ("configure", "token")
        yield "http.ca_file", read(parts.ca_file()), False, *plan
        yield "http.client_cert", b"certificate and key", True, *plan
        yield "http.netrc_file", b"default login a password b\n", True, *plan
        yield "http.header_file", b"X-Guard: a\n", True, *plan
        yield "driver.index_key", b"key", False, *plan
        yield "driver.catalog", b"[]", False, *plan
        yield "license.token_file", token(), False, *configure

    def test_another_users_file_is_none(self):
        for name, content, secret, command, step in self.settings():
            with self.subTest(name):
                path = self.write("file", content, 0o600 if secret else 0o644)
                os.chown(path, NOBODY, NOBODY)
                self.refused(name, path, "belongs to user 65534", command, step, "chown root")

    def test_nor_is_one_that_others_may_write(self):
        for name, content, secret, command, step in self.settings():
            for mode in (0o646, 0o664):
                with self.subTest(name, mode=mode):
                    path = self.write("file", content, mode)
                    self.refused(name, path, "others may " + ("read" if secret else "write") + " it", command, step, "chmod")

    def test_the_configuration_itself(self):
        for owner, mode, words in ((NOBODY, 0o644, "belongs to user"), (0, 0o664, "others may write it")):
            path = self.write("agent.conf", "", mode)
            os.chown(path, owner, -1)
            self.error(2, "plan", words, "plan", "--config", path, hint="ch")

    def refused(self, name, path, words, command, step, hint):
        repository = self.use(Repository())
        sets = {**repository.sets, name: path}
        self.error(2, step, words, command, sysfs=vgpu(), sets=sets, hint=hint)
        self.assertEqual(repository.requests, [])


if __name__ == "__main__":
    main(__file__)
