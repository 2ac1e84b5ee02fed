#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Real kernels in QEMU that take only signed modules, by sig_enforce and by lockdown, without Secure Boot: what the agent says of them
before it changes anything, and what the kernel itself says of the same modules. With VGPU_ALL four boots of a real firmware: Secure Boot on,
the same with shim's validation off, and off with each of the two; what the agent holds of keys, modules and archives is what the kernel does."""
import json
import os
import re
import ssl
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, firmware, qemu, scene, servers  # noqa: E402
from lab.base import ENVIRONMENT, output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("qemu-system-x86_64", "mkfs.ext4", "mmdebstrap", "nginx", "ip", "cpio", "openssl")

MAGIC = b"~Module signature appended~\n"
KEYS = "--set signing.key=/root/db-key.pem --set signing.cert=/root/db.pem"
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


# What the firmware's boots know: name -> subject, and how openssl makes the key. The last two no kernel of Debian's takes.
RSA = ("-newkey", "rsa:2048")
SIGNERS = {"db": ("/O=Acme Cloud/CN=vGPU module signing key", RSA), "mok": ("/CN=Acme vGPU modules", RSA),
           "umlaut": ("/CN=Schlüssel für Module", RSA), "long": (f"/CN={'Acme key with a common name of ':x<64}", RSA), "leaf": ("/CN=Acme leaf", RSA),
           "curve": ("/CN=Acme curve", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")), "other": ("/O=Acme/CN=other", RSA)}
ENROLLED = ("db", "mok", "umlaut", "long", "leaf")
FIRMWARE = f"""
part() {{ echo "=== $1"; }}
by() {{ echo --set signing.key=/root/$1-key.pem --set signing.cert=/root/$1.pem; }}
unload() {{ systemctl stop nvidia-gridd; rmmod nvidia_uvm nvidia; }}
folder=/lib/modules/$(uname -r)/updates/vgpu-guest-agent
part facts; cat /sys/kernel/security/lockdown /sys/module/module/parameters/sig_enforce; od -An -tx1 /sys/firmware/efi/efivars/SecureBoot-*
for module in own unsigned {' '.join(SIGNERS)}; do
    part kernel_$module; insmod /root/$module.ko && echo loaded && rmmod dummy
done
"""
ON = FIRMWARE + f"""
cp -r $folder /root/unsigned
never="--set driver.prebuilt=never"
part plan; vgpu-guest-agent $never --json plan
part doctor; vgpu-guest-agent --quiet --json doctor
part run; vgpu-guest-agent $never run; echo "status $?"
part stranger; vgpu-guest-agent $never $(by other) run; echo "status $?"
part untouched; for module in $folder/*.ko; do tail -c 28 $module | grep -c 'Module signature'; done
part mended; vgpu-guest-agent $(by db) run; echo "status $?"
part loaded; cat /proc/modules
part again; vgpu-guest-agent $(by db) run; echo "status $?"
unload
for module in $folder/*.ko; do /lib/modules/$(uname -r)/build/scripts/sign-file sha256 /root/other-key.pem /root/other.pem $module; done
part modprobe; modprobe nvidia && echo loaded
part wrong; vgpu-guest-agent $never run; echo "status $?"
part wrong_mended; vgpu-guest-agent $(by leaf) run; echo "status $?"
part wrong_loaded; cat /proc/modules
unload
cp /root/unsigned/* $folder
part replaced; vgpu-guest-agent run; echo "status $?"
part replaced_loaded; cat /proc/modules
unload
part uninstall; vgpu-guest-agent uninstall; echo "status $?"
for name in {' '.join(SIGNERS)}; do
    part agent_$name; vgpu-guest-agent --json $never $(by $name) plan
done
chmod 644 /root/mok-key.pem
part mode; vgpu-guest-agent $never $(by mok) run; echo "status $?"
chmod 600 /root/mok-key.pem; chown daemon /root/mok-key.pem
part owner; vgpu-guest-agent $never $(by mok) run; echo "status $?"
chown root /root/mok-key.pem
for kind in passphrase der missing; do
    part $kind; vgpu-guest-agent $never --set signing.key=/root/$kind.pem --set signing.cert=/root/db.pem run; echo "status $?"
done
part pair; vgpu-guest-agent $never $(by db) --set signing.cert=/root/mok.pem run; echo "status $?"
part token; vgpu-guest-agent $never --set signing.key=pkcs11:token=x --set signing.cert=/root/mok.pem run; echo "status $?"
part curve; vgpu-guest-agent $never $(by curve) run; echo "status $?"
mkdir -p /var/lib/dkms
for name in other mok; do
    cp /root/$name-key.pem /var/lib/dkms/mok.key; openssl x509 -in /root/$name.pem -outform DER -out /var/lib/dkms/mok.pub
    part dkms_$name; vgpu-guest-agent --json $never --set driver.dkms=yes plan
done
part changed; ls /usr/bin/nvidia-smi $folder 2>/dev/null
rm -r /usr/src/linux-headers-* /usr/bin/*gcc* /usr/bin/make
part archive; vgpu-guest-agent --set driver.prebuilt=only run; echo "status $?"
part archive_loaded; cat /proc/modules
"""
NOT_VALIDATED = FIRMWARE + """
part plan; vgpu-guest-agent --json plan
part run; vgpu-guest-agent run; echo "status $?"
part loaded; cat /proc/modules
"""
OFF = FIRMWARE + SCRIPT + """
part only_plan; vgpu-guest-agent --json --set driver.prebuilt=only plan
part only; vgpu-guest-agent --set driver.prebuilt=only run; echo "status $?"
"""
FIRMWARE_SECONDS = 1200


def key(root, name, subject, kind):
    output("openssl", "req", "-new", "-x509", *kind, "-nodes", "-utf8", "-subj", subject, "-keyout", f"{root}/root/{name}-key.pem",
           "-out", f"{root}/root/{name}.pem")


def leaf(root):
    """The certificate of `leaf` by an authority that nobody knows, in place of its own."""
    key(root, "authority", "/CN=Acme Second CA", RSA)
    request = output("openssl", "x509", "-x509toreq", "-in", f"{root}/root/leaf.pem", "-signkey", f"{root}/root/leaf-key.pem")
    made = subprocess.run(["openssl", "x509", "-req", "-CA", f"{root}/root/authority.pem", "-CAkey", f"{root}/root/authority-key.pem",
                           "-CAcreateserial", "-days", "30"], input=request, capture_output=True, text=True, check=True).stdout
    with open(f"{root}/root/leaf.pem", "w") as file:
        file.write(made)


def plant(guest):
    """One of the kernel's own modules as it is, without its signature, and signed by each key; and keys that are no good."""
    root, release = guest.root, guest.kernels[0]
    with open(f"{root}/lib/modules/{release}/kernel/drivers/net/dummy.ko", "rb") as file:
        own = file.read()
    need(own.endswith(MAGIC), "the kernel's own modules are not signed")
    size, = struct.unpack(">I", own[:-len(MAGIC)][-4:])
    plain = own[:-len(MAGIC) - 12 - size]
    for name, (subject, kind) in SIGNERS.items():
        key(root, name, subject, kind)
    leaf(root)
    modules = {"own": own, "unsigned": plain}
    for name in SIGNERS:
        signature = subprocess.run(["openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-outform", "DER", "-md", "sha256",
                                    "-signer", f"{root}/root/{name}.pem", "-inkey", f"{root}/root/{name}-key.pem"],
                                   input=plain, stdout=subprocess.PIPE, check=True).stdout
        modules[name] = plain + signature + bytes([0, 0, 2, 0, 0, 0, 0, 0]) + struct.pack(">I", len(signature)) + MAGIC
    for name, content in modules.items():
        with open(f"{root}/root/{name}.ko", "wb") as file:
            file.write(content)
    for name, words in (("passphrase", ("-aes128", "-passout", "pass:secret")), ("der", ("-outform", "DER"))):
        output("openssl", "pkey", "-in", f"{root}/root/db-key.pem", *words, "-out", f"{root}/root/{name}.pem")
        os.chmod(f"{root}/root/{name}.pem", 0o600)


def boot(guest, option):
    return parts_of(*guest.boot_and_run(guest.kernels[0], SCRIPT, BOOT_SECONDS, option=option))


def parts_of(status, text):
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


def agent(guest, *words):
    """The agent of this machine upon the guest's tree."""
    done = subprocess.run([f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--root", guest.root, *words], env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    need(done.returncode == 0, done.stdout)


def archive(guest, *words):
    """The repository has an archive of this kernel's modules, as an index of it says."""
    path = f"{guest.home}/nvidia-modules-{scene.DRIVER}-{guest.kernels[0]}-proprietary.tar.gz"
    agent(guest, *words, "build-modules", "--kernel", guest.kernels[0], "--driver", scene.package("run"), "--output", path)
    servers.publish(guest.servers, path)
    repository, index = f"{guest.servers}/repository", f"{guest.home}/vgpu-index.json"
    files = [f"{repository}/{name}" for name in os.listdir(repository) if name not in ("PULP_MANIFEST", "vgpu-index.json")]
    with open(index, "w") as file:
        file.write(output(f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--quiet", "index", *files))
    servers.publish(guest.servers, index)  # into the manifest, too


def by(name):
    return "--set", f"signing.key=/root/{name}-key.pem", "--set", f"signing.cert=/root/{name}.pem"


def firmware_boot(guest, script, secure, **more):
    if not os.environ.get("VGPU_ALL"):
        raise check.Skip("only with VGPU_ALL")
    check.need_root_and("mformat", "mcopy")
    need(os.path.exists(firmware.CODE), "no ovmf here")
    certificates = {name: ssl.PEM_cert_to_DER_cert(open(f"{guest.root}/root/{name}.pem").read()) for name in (*ENROLLED, "curve")}
    more = {"db": [certificates.pop("db")], "mok": list(certificates.values()), **more} if secure else more
    seen = parts_of(*guest.run_script(script, FIRMWARE_SECONDS, firmware.options(guest, guest.kernels[0], secure, **more)))
    for name, said in seen.items():
        print("".join(f"# {line}\n" for line in [f"=== {name}", *said.splitlines()[:60]]), end="", file=sys.stderr)
    return seen


def asked(plan, name="secure_boot"):
    """What a plan ends with, and its check of this name."""
    plan = json.loads(plan)
    return plan["would_fail"], next(each for each in plan["checks"] if each["name"] == name)


def claim_a_firmware_without_secure_boot_and_a_kernel_that_enforces(guest):
    if os.environ.get("VGPU_ALL"):
        archive(guest)
    seen = firmware_boot(guest, OFF, False, option="module.sig_enforce=1")
    need(seen["facts"].split()[-1] == "00" and seen["facts"].split()[-6] == "Y", seen["facts"])
    judge(seen, "module.sig_enforce is on", "Key was rejected by service")
    would_fail, found = asked(seen["only_plan"])
    need(would_fail == 10 and found["ok"] is False, seen["only_plan"])
    need(seen["only"].endswith("status 10\n") and "not signed" in seen["only"], seen["only"])


def claim_a_firmware_without_secure_boot_and_a_kernel_that_is_locked_down(guest):
    if os.environ.get("VGPU_ALL"):
        archive(guest, *by("db"))
    seen = firmware_boot(guest, OFF, False, option="lockdown=integrity")
    need(seen["facts"].split()[-1] == "00" and "[integrity]" in seen["facts"], seen["facts"])
    judge(seen, "lockdown is integrity", "Operation not permitted")
    would_fail, found = asked(seen["only_plan"])
    need(would_fail == 10 and found["ok"] is False, seen["only_plan"])
    need(seen["only"].endswith("status 10\n") and "vGPU module signing key" in seen["only"], seen["only"])


def claim_secure_boot_takes_what_the_agent_takes(guest):
    if os.environ.get("VGPU_ALL"):
        archive(guest, *by("db"))
        agent(guest, "install", "--driver", scene.package("run"))
        guest.image()
    seen = firmware_boot(guest, ON, True)
    need(seen["facts"].split()[-1] == "01" and "[integrity]" in seen["facts"], seen["facts"])
    for name in SIGNERS:
        taken = name in ENROLLED
        need(("loaded" in seen[f"kernel_{name}"]) is taken, seen[f"kernel_{name}"])
        would_fail, found = asked(seen[f"agent_{name}"])
        need(found["ok"] is taken and (would_fail == 10) is not taken, f"{name}: {seen[f'agent_{name}']}")
    need("loaded" in seen["kernel_own"] and "loaded" not in seen["kernel_unsigned"], seen["kernel_unsigned"])
    modules_in_place(seen)
    keys_that_are_no_good(seen)
    for name, taken in (("other", False), ("mok", True)):
        _, found = asked(seen[f"dkms_{name}"])
        need(found["ok"] is taken, f"{name}: {seen[f'dkms_{name}']}")
    need(seen["archive"].endswith("status 0\n") and "prebuilt" in seen["archive"], seen["archive"])
    need("nvidia_uvm" in seen["archive_loaded"], seen["archive_loaded"])


def modules_in_place(seen):
    """An image's unsigned modules, and such of another's key: refused, or signed where they lie, and then the kernel takes them."""
    would_fail, found = asked(seen["plan"])
    need(would_fail == 10 and found["ok"] is False, seen["plan"])
    need(seen["run"].endswith("status 10\n"), seen["run"])
    need("secure_boot" in seen["doctor"] and "mokutil" not in seen["doctor"] and "perhaps" not in seen["doctor"], seen["doctor"])
    need(seen["stranger"].endswith("status 10\n") and set(seen["untouched"].split()) == {"0"}, seen["stranger"] + seen["untouched"])
    for name in ("mended", "wrong_mended"):
        need(seen[name].endswith("status 0\n") and "compiling" not in seen[name], seen[name])
    need(seen["replaced"].endswith("status 0\n") and "prebuilt" in seen["replaced"], seen["replaced"])
    for name in ("loaded", "wrong_loaded", "replaced_loaded"):
        need("nvidia_uvm" in seen[name], seen[name])
    need(seen["again"].endswith("status 0\n"), seen["again"])
    need("loaded" not in seen["modprobe"] and seen["wrong"].endswith("status 10\n"), seen["modprobe"] + seen["wrong"])


def keys_that_are_no_good(seen):
    for name, status, word in (("mode", 2, "holds a secret"), ("owner", 2, "belongs to user 1"), ("passphrase", 2, "passphrase"), ("der", 2, "it is DER"),
                               ("missing", 2, "No such file"), ("pair", 2, "not the key of signing.cert"), ("token", 2, "--sign-command"),
                               ("curve", 10, "take an RSA key")):
        need(seen[name].endswith(f"status {status}\n") and word in seen[name], f"{name}: {seen[name]}")
    need(seen["changed"] == "", seen["changed"])


def claim_where_shim_does_not_validate_unsigned_modules_load(guest):
    seen = firmware_boot(guest, NOT_VALIDATED, True, validates=False)
    need(seen["facts"].split()[-1] == "01" and "[none]" in seen["facts"], seen["facts"])
    need("loaded" in seen["kernel_unsigned"] and "loaded" in seen["kernel_other"], seen["kernel_unsigned"])
    would_fail, found = asked(seen["plan"])
    need(would_fail != 10 and found["ok"] is True, seen["plan"])
    need(seen["run"].endswith("status 0\n") and "nvidia_uvm" in seen["loaded"], seen["run"])


with scene.bare(kind=qemu.Guest) as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    plant(guest)
    guest.image()
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
