# SPDX-License-Identifier: Apache-2.0
"""Keys and detached signatures of a repository's index, made as README.md says."""

import base64
import functools
import os
import subprocess
import tempfile


@functools.lru_cache(None)
def folder():
    return tempfile.mkdtemp(prefix="keys-")


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


@functools.lru_cache(None)
def key(kind, *options):
    """The path of a new private key, and its public key."""
    path = os.path.join(folder(), "-".join((kind, *options)).replace(":", "-"))
    openssl("genpkey", "-algorithm", kind, *(word for each in options for word in ("-pkeyopt", each)), "-out", path)
    return path, openssl("pkey", "-in", path, "-pubout")


ED25519 = ("ED25519",)
RSA = ("RSA", "rsa_keygen_bits:2048")


def sign(which, content, salt="max", digest="sha256"):
    """What README.md says; that leaves the salt as long as it can be."""
    path, data = key(*which)[0], os.path.join(folder(), "data")
    with open(data, "wb") as file:
        file.write(content)
    if which == ED25519:
        made = openssl("pkeyutl", "-sign", "-rawin", "-inkey", path, "-in", data)
    else:
        made = openssl("dgst", "-" + digest, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:" + salt, "-sign", path, data)
    return base64.encodebytes(made)
