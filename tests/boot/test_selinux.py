#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""SELinux: the labels of an image that got its driver from outside, where no policy is loaded, by SELinux's own programs and a few rules like
those of the targeted policy. With VGPU_ALL by Debian's policy, and a real kernel that enforces it boots from that image, and from a bare one,
and each ends licensed, with the labels that the policy has for what was written."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import base, check, qemu, scene, servers  # noqa: E402
from lab.base import ENVIRONMENT, output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("qemu-system-x86_64", "mkfs.ext4", "mmdebstrap", "nginx", "ip", "cpio")

RULES = "/etc/selinux/default/contexts/files/file_contexts"
SET_ALL = f"setfiles -i -e /proc -e /sys -e /dev {RULES} /"
# As an image that its distribution has labelled; the laboratory's own programs are programs.
LABEL = f"""echo "/usr/lib/vgpu-lab(/.*)? system_u:object_r:bin_t:s0" >"$1"{RULES}.local; chroot "$1" {SET_ALL}"""
BASE = {"more": ("selinux-policy-default", "policycoreutils", "selinux-utils"), "options": (f"--customize-hook={LABEL}",)}
# Without a policy: what sets and compares labels, unpacked, and rules for what an installation writes; all else is left alone.
PROGRAMS = ("policycoreutils", "selinux-utils", "libaudit1", "libcap-ng0", "libselinux1", "libsepol2", "libsemanage2", "libpcre2-8-0")
FEW_RULES = (("/.*", None), ("/etc/nvidia(/.*)?", "etc_t"), (r"/etc/modprobe\.d(/.*)?", "modules_conf_t"), (r"/etc/ld\.so\.cache", "ld_so_cache_t"),
             (r"/etc/systemd/system/nvidia.*", "systemd_unit_file_t"), ("/usr/bin/nvidia.*", "bin_t"), ("/usr/bin/nvidia-gridd", "xserver_exec_t"),
             ("/(usr/)?lib/modules/[^/]+/updates(/.*)?", "modules_object_t"), (r"/(usr/)?lib/modules/[^/]+/modules\..+", "modules_dep_t"),
             ("/usr/lib/.*lib(nvidia|cuda).*", "lib_t"), ("/usr/src/vgpu-guest-agent(/.*)?", "src_t"),
             ("/var/lib/(nvidia|vgpu-guest-agent)(/.*)?", "var_lib_t"), ("/var/log/vgpu-guest-agent(/.*)?", "var_log_t"))
ENFORCING = "security=selinux selinux=1 enforcing=1 audit=1"
# Programs with a domain of their own (lsmod, dmesg, restorecon) may not write where this script's output goes: what has none reads for it.
SCRIPT = """
part() { echo "=== $1"; }
part enforce; cat /sys/fs/selinux/enforce; echo
part run; vgpu-guest-agent run; echo "status $?"
part status; vgpu-guest-agent --json status
part modules; cat /proc/modules
part labels; find /etc/nvidia /etc/modprobe.d /etc/ld.so.cache /usr/bin/nvidia* /var/lib/nvidia /var/lib/vgpu-guest-agent \\
    /lib/modules/$(uname -r)/updates /lib/modules/$(uname -r)/modules.* -exec matchpathcon -V {} + || :
"""
BOOT_SECONDS = 900


def installed_outside(guest):
    output("mount", "-t", "proc", "proc", f"{guest.root}/proc")
    output("mount", "--bind", "/dev", f"{guest.root}/dev")
    try:
        return subprocess.run([f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--root", guest.root, "install", "--driver",
                               scene.package("run")], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    finally:
        output("umount", f"{guest.root}/dev")
        output("umount", "--lazy", f"{guest.root}/proc")


def matchpathcon(guest, paths, *options):
    done = subprocess.run(["chroot", guest.root, "xargs", "-d", "\n", "-n", "1", "matchpathcon", *options], env=ENVIRONMENT,
                          input="\n".join(paths), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.splitlines()


def wrong_labels(guest, paths):
    """What matchpathcon says of those of the paths that are not labelled as the policy has it."""
    paths = [f"/{path}" for path in paths if os.path.lexists(f"{guest.root}/{path}")]
    ruled = [line.split("\t")[0] for line in matchpathcon(guest, paths) if not line.endswith("<<none>>")]
    need(len(ruled) > 20, ruled)
    said = matchpathcon(guest, ruled, "-V")
    need(len(said) == len(ruled), said)
    return [line for line in said if not line.endswith(" verified.")]


def claim_what_is_written_into_an_image_has_the_labels_of_its_policy(guest):
    before = scene.listing(guest)
    done = installed_outside(guest)
    need(done.returncode == 0 and "set by the image's own SELinux policy" in done.stdout, done.stdout)
    paths = {line.split()[0] for line in scene.listing(guest) - before}
    wrong = wrong_labels(guest, sorted(path for path in paths if path.startswith(("etc/", "usr/", "var/", "boot/"))))
    need(not wrong, "\n".join(wrong))
    need(not os.path.exists(f"{guest.root}/.autorelabel"), "labels are to be set at boot")


def boot(guest):
    if not os.environ.get("VGPU_ALL"):
        raise check.Skip("only with VGPU_ALL")
    guest.image()
    status, text = guest.boot_and_run(guest.kernels[0], SCRIPT, BOOT_SECONDS, option=ENFORCING)
    need(status == 0, text)
    parts = re.split(r"^=== (\w+)\n", text, flags=re.M)[1:]
    seen = dict(zip(parts[::2], parts[1::2]))
    print("".join(f"# {line}\n" for line in text.splitlines()), end="", file=sys.stderr)
    need(seen["enforce"].strip() == "1", text)
    need(seen["run"].endswith("status 0\n"), seen["run"])
    need('"licensed":true' in seen["status"].replace(" ", ""), seen["status"])
    need("nvidia_uvm" in seen["modules"], seen["modules"])
    verified = [line.endswith(" verified.") for line in seen["labels"].splitlines()]
    need(len(verified) > 20 and all(verified), seen["labels"])
    return seen


def claim_a_guest_that_enforces_boots_from_that_image_and_is_licensed(guest):
    seen = boot(guest)
    need("compiling" not in seen["run"], seen["run"])


def claim_a_bare_guest_that_enforces_gets_its_driver_and_is_licensed(guest):
    if os.environ.get("VGPU_ALL"):
        guest.reset()
        begin(guest)
    seen = boot(guest)
    need("compiling" in seen["run"], seen["run"])


def begin(guest):
    """All of the guest but the driver, labelled."""
    scene.furnish(guest)
    qemu.script_units(guest.root, "vgpu-lab-network.service")
    output("mount", "-t", "proc", "proc", f"{guest.root}/proc")
    try:
        output("chroot", guest.root, *SET_ALL.split())
    finally:
        output("umount", f"{guest.root}/proc")


def lay_few_rules(guest):
    """SELinux's programs and a policy's rules in the tree, and nothing labelled."""
    scene.furnish(guest)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        output("sh", "-c", 'cd "$0" && apt-get -q -o APT::Sandbox::User=root download "$@"', folder, *PROGRAMS)
        for name in os.listdir(folder):
            tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", f"{folder}/{name}"], env=ENVIRONMENT, stdout=subprocess.PIPE, check=True).stdout
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", guest.root], env=ENVIRONMENT, input=tar, check=True)
    scene.write(guest, "/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n")
    scene.write(guest, RULES, "".join(f"{path}\t{f'system_u:object_r:{kind}:s0' if kind else '<<none>>'}\n" for path, kind in FEW_RULES))


every = bool(os.environ.get("VGPU_ALL"))
policy = base.prepare(lambda text: print(f"# {text}", flush=True), **BASE) if every else None
with scene.bare(kind=qemu.Guest, prepared=policy) as guest:
    servers.publish(guest.servers, scene.bundle())
    (begin if every else lay_few_rules)(guest)
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
