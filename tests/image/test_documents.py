#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The image commands of the documents, as they stand there, and what is in the images that they build. VGPU_ALL=1: five to ten minutes
for each; Ubuntu's also wants VGPU_UBUNTU_ARCHIVE."""
import os
import re
import subprocess
import sys
import tempfile

import dib
import element
import ubuntu
from lab import base, check
from lab.check import need

sys.path.insert(0, os.path.join(base.CLONE, "tests/docs"))
import documents  # noqa: E402

check.need_root_and("disk-image-create", "sudo", "qemu-img", "sfdisk", "mkfs.ext4", "debootstrap")
if os.environ.get("VGPU_ALL") != "1":
    print("skipped: building images takes minutes; VGPU_ALL=1 does it")
    sys.exit(77)

NETWORK = ["usr/sbin/sshd", "usr/bin/cloud-init", "usr/bin/vgpu-guest-agent", "usr/local/sbin/dhcp-all-interfaces.sh"]


def build(name, **more):
    """Runs the block in a folder of its own, beside the element; the file system of its image as a mounted folder."""
    folder = tempfile.mkdtemp(prefix="vgpu-document-", dir="/var/tmp")
    for each in ("home", "tmp", "bin"):
        os.mkdir(f"{folder}/{each}")
    os.symlink("/usr/bin/python3", f"{folder}/bin/python")
    os.symlink(element.ELEMENTS, f"{folder}/dib-element")
    environment = {"PATH": ":".join([*dib.bridges(), f"{folder}/bin", element.PATH]), "HOME": f"{folder}/home", "USER": "root",
                   "TMP_DIR": f"{folder}/tmp", "LC_ALL": "C.UTF-8", **more}
    done = subprocess.run(["bash", "-e", "-c", documents.text_of(name)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    need(done.returncode == 0, done.stdout[-4000:])
    [image] = [each for each in os.listdir(folder) if each.endswith(".qcow2")]
    base.output("qemu-img", "convert", "-O", "raw", f"{folder}/{image}", f"{folder}/image.raw")
    return folder


def need_a_guest(folder, release):
    """What a cloud's guest cannot do without: the programs, and the units that start them."""
    with dib.mounted(f"{folder}/image.raw") as root:
        with open(f"{root}/etc/os-release", encoding="utf-8") as file:
            need(f"VERSION_CODENAME={release}" in file.read(), f"not {release}")
        for path in NETWORK:
            need(os.path.exists(f"{root}/{path}"), f"no /{path}")
        for unit in ("ssh.service", "cloud-init.service", "vgpu-guest-agent.timer", "vgpu-guest-agent-monitor.service"):
            done = subprocess.run(["systemctl", f"--root={root}", "is-enabled", unit], capture_output=True, text=True, check=False)
            need(done.stdout.strip() == "enabled", f"{unit} is {done.stdout.strip()}")
        said = base.output(f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--root", root, "config", "show")
        need(re.search(r'driver\.repository += "https://pulp\.example/', said), said)
    base.output("rm", "-r", folder)


def claim_the_debian_image_is_a_guest_with_network_and_ssh():
    need_a_guest(build("image-debian"), "bookworm")


def claim_the_ubuntu_image_of_the_elements_page_is_one_too():
    need_a_guest(build("element-ubuntu", DIB_DISTRIBUTION_MIRROR=ubuntu.archive()), "jammy")


only = os.environ.get("VGPU_ONLY", "")
sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_") and only in name]))
