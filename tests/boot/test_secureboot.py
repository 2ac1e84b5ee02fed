#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Real kernels in QEMU that take only signed modules, by sig_enforce and by lockdown, without Secure Boot: what the agent says of them
before it changes anything, and what the kernel itself says of the same modules."""
import json
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, qemu, scene, servers  # noqa: E402
from lab.base import output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("qemu-system-x86_64", "mkfs.ext4", "mmdebstrap", "nginx", "ip", "cpio", "openssl")

MAGIC = b"~Module signature appended~\n"
KEYS = "--set signing.key=/root/key.pem --set signing.cert=/root/cert.pem"
SCRIPT = f"""
part() {{ echo "=== $1"; }}
part keys; cat /proc/keys
for module in unsigned other own; do
    part $module; insmod /root/$module.ko && echo loaded && rmmod dummy
done
part plan; vgpu-guest-agent --json plan
part run; vgpu-guest-agent run; echo "status $?"
part another; vgpu-guest-agent {KEYS} run; echo "status $?"
part bad; vgpu-guest-agent {KEYS} --set signing.cert=/root/other.pem run; echo "status $?"
part changed; ls /usr/bin/nvidia-smi /lib/modules/*/updates /var/cache/vgpu-guest-agent 2>/dev/null
part doctor; vgpu-guest-agent --quiet --json doctor; :
"""
BOOT_SECONDS = 240


def key(root, name):
    output("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/O=Acme/CN={name}",
           "-keyout", f"{root}/root/{'key' if name == 'cert' else name + '-key'}.pem", "-out", f"{root}/root/{name}.pem")


def plant(guest):
    """One of the kernel's own modules as it is, without its signature, and signed by a key that the kernel does not have."""
    root, release = guest.root, guest.kernels[0]
    with open(f"{root}/lib/modules/{release}/kernel/drivers/net/dummy.ko", "rb") as file:
        own = file.read()
    need(own.endswith(MAGIC), "the kernel's own modules are not signed")
    size, = struct.unpack(">I", own[:-len(MAGIC)][-4:])
    plain = own[:-len(MAGIC) - 12 - size]
    for name in ("cert", "other"):
        key(root, name)
    signature = subprocess.run(["openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-outform", "DER", "-md", "sha256",
                                "-signer", f"{root}/root/cert.pem", "-inkey", f"{root}/root/key.pem"],
                               input=plain, stdout=subprocess.PIPE, check=True).stdout
    for name, content in (("own", own), ("unsigned", plain),
                          ("other", plain + signature + bytes([0, 0, 2, 0, 0, 0, 0, 0]) + struct.pack(">I", len(signature)) + MAGIC)):
        with open(f"{root}/root/{name}.ko", "wb") as file:
            file.write(content)


def boot(guest, option):
    status, text = guest.boot_and_run(guest.kernels[0], SCRIPT, BOOT_SECONDS, option=option)
    need(status == 0, text)
    parts = re.split(r"^=== (\w+)\n", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def judge(seen, evidence, refusal):
    """The kernel's own answers, and that the agent's are the same before it changes anything."""
    need("loaded" in seen["own"], seen["own"])
    need("X509" in seen["keys"], seen["keys"])
    for name in ("unsigned", "other"):
        need("loaded" not in seen[name] and refusal in seen[name], seen[name])
    plan = json.loads(seen["plan"])
    [found] = [each for each in plan["checks"] if each["name"] == "secure_boot"]
    need(plan["would_fail"] == 10 and found["ok"] is False and evidence in found["detail"], plan)
    need(seen["run"].endswith("status 10\n") and evidence in seen["run"] and "Secure Boot off" not in seen["run"], seen["run"])
    need(seen["another"].endswith("status 10\n") and "does not list signing.cert in /proc/keys" in seen["another"], seen["another"])
    need(seen["bad"].endswith("status 2\n") and "not the key of signing.cert" in seen["bad"], seen["bad"])
    need(seen["changed"] == "", seen["changed"])
    [found] = re.findall(r'\{"name":"secure_boot"[^}]*\}', seen["doctor"])
    need(json.loads(found) == {"name": "secure_boot", "ok": False, "detail": evidence}, found)


def claim_a_kernel_that_was_told_to_enforce_signatures(guest):
    judge(boot(guest, "module.sig_enforce=1"), "module.sig_enforce is on", "Key was rejected by service")


def claim_a_kernel_that_is_locked_down(guest):
    judge(boot(guest, "lockdown=integrity"), "lockdown is integrity", "Operation not permitted")


with scene.bare(kind=qemu.Guest) as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    plant(guest)
    guest.image()
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
