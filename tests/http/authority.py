# SPDX-License-Identifier: Apache-2.0
"""A throw-away certificate authority (openssl's command line)."""

import os
import ssl
import subprocess


class Authority:
    def __init__(self, folder, name="Test Authority"):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def bytes(self, name="ca.pem"):
        with open(self.path(name), "rb") as file:
            return file.read()

    def issue(self, name, alt="IP:127.0.0.1", days=2):
        """Makes NAME.key and NAME.pem."""
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
        with open(self.path("ext"), "w") as file:
            file.write(f"subjectAltName={alt}\n")
        self.run("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"),
                 "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", str(days),
                 "-extfile", self.path("ext"), "-out", self.path(f"{name}.pem"))

    def server(self, name="server", clients=None):
        """A server's context; with `clients` it wants a certificate of that authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.path("ca.pem"))
        return context
