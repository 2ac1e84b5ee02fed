#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The whole job on a real kernel in QEMU, where the modules it builds are really loaded; then in the other installed kernel."""
import base64
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from lab import check, qemu, scene, servers  # noqa: E402
from lab.base import output  # noqa: E402
from lab.check import need  # noqa: E402

check.need_root_and("qemu-system-x86_64", "mkfs.ext4", "genisoimage", "mmdebstrap", "nginx", "ip", "cpio")

# Each part begins with a line of its own, so that one boot answers several claims.
SCRIPT = """
part() { echo "=== $1"; }
part release; uname -r
part run; vgpu-guest-agent run; echo "status $?"
part drive; grep ^LicenseInterval /etc/nvidia/gridd.conf; grep -cE 'iso9660|config-drive' /proc/self/mountinfo; cat /run/vgpu-guest-agent-drive; echo
part status; vgpu-guest-agent --json status; echo "status $?"
part modules; lsmod
part proc; cat /proc/driver/nvidia/version
part taint; dmesg | grep -E 'NVRM|nvidia-uvm'
part vermagic; for module in nvidia nvidia-uvm; do modinfo -n $module; modinfo -F vermagic $module; done
part again; vgpu-guest-agent run; echo "status $?"
part uptime; cat /proc/uptime
"""
# The modules as an archive, and from then on neither they nor what compiles them.
ARCHIVE = f"""
part() {{ echo "=== $1"; }}
release=$(uname -r)
part made; vgpu-guest-agent build-modules --kernel $release --output /root/archive {' '.join(scene.asking_for(scene.DRIVER))}; echo "status $?"
part archive; base64 /root/archive
part uninstall; vgpu-guest-agent uninstall; echo "status $?"
rm -r /usr/src/linux-headers-* /usr/bin/*gcc* /usr/bin/make
"""
PREBUILT = """
part() { echo "=== $1"; }
part run; vgpu-guest-agent --set driver.prebuilt=only run; echo "status $?"
part modules; lsmod
part compilers; ls /usr/bin/*gcc* /usr/bin/make /lib/modules/$(uname -r)/build/ 2>/dev/null || :
"""
BOOT_SECONDS = 560


def config_drives(guest):
    """QEMU's options for a config drive of nova's, and behind it a disk of ext4 that only has its label."""
    options = []
    for interval, name, make in ((61, "nova", ("genisoimage", "-quiet", "-J", "-r", "-V", "config-2", "-o")),
                                        (62, "other", ("mkfs.ext4", "-q", "-L", "config-2", "-d"))):
        folder, image = f"{guest.home}/{name}", f"{guest.home}/{name}.img"
        os.makedirs(f"{folder}/openstack/latest")
        with open(f"{folder}/openstack/latest/vendor_data.json", "w") as file:
            json.dump({"vgpu_guest_agent": {"license": {"gridd": {"LicenseInterval": interval}}}}, file)
        output(*make, *((image, folder) if make[0] == "genisoimage" else (folder, image, "1M")))
        options += qemu.drive(image, name)
    return options


def boot(guest, release, script=SCRIPT, more=()):
    status, text = guest.boot_and_run(release, script, BOOT_SECONDS, more)
    need(status == 0, text)
    parts = re.split(r"^=== (\w+)\n", text, flags=re.M)[1:]
    seen = dict(zip(parts[::2], parts[1::2]))
    for name, said in seen.items():
        print("".join(f"# {line}\n" for line in [f"=== {name}", *said.splitlines()[:100]]), end="", file=sys.stderr)
    return seen


def claim_run_ends_licensed_on_a_real_kernel(guest):
    guest.seen = boot(guest, guest.kernels[0], more=config_drives(guest))
    need(guest.seen["release"].strip() == guest.kernels[0], guest.seen["release"])
    need(guest.seen["run"].endswith("status 0\n"), guest.seen["run"])
    need('"licensed":true' in guest.seen["status"].replace(" ", ""), guest.seen["status"])


def claim_the_config_drive_is_read_on_a_mount_that_nobody_sees(guest):
    said, run = guest.seen["drive"].splitlines(), guest.seen["run"]
    need(said[:2] == ["LicenseInterval=61", "0"], said)
    need(re.fullmatch(r"vdb \d+:\d+ (\d+|-)", said[2]), said)
    need("config drive, vendor_data.json" in run, run)
    need("warning: metadata: config drive /dev/vdc: passed over: it is neither iso9660 nor vfat" in run, run)


def claim_the_modules_it_built_are_loaded_and_speak(guest):
    loaded = {line.split()[0]: line.split()[1:] for line in guest.seen["modules"].splitlines()}
    need("nvidia" in loaded and "nvidia_uvm" in loaded, guest.seen["modules"])
    need(loaded["nvidia"][2] == "nvidia_uvm", guest.seen["modules"])
    need(scene.DRIVER in guest.seen["proc"], guest.seen["proc"])
    need("NVRM: loading NVIDIA UNIX" in guest.seen["taint"], guest.seen["taint"])
    need("/updates/vgpu-guest-agent/nvidia.ko" in guest.seen["vermagic"], guest.seen["vermagic"])


def claim_a_second_run_there_does_not_build(guest):
    need(guest.seen["again"].endswith("status 0\n"), guest.seen["again"])


def claim_in_the_other_kernel_run_builds_and_loads_for_it(guest):
    seen = boot(guest, guest.kernels[1])
    need(seen["release"].strip() == guest.kernels[1], seen["release"])
    need(seen["run"].endswith("status 0\n"), seen["run"])
    need(f"\n{guest.kernels[1]} " in seen["vermagic"], seen["vermagic"])
    need(scene.DRIVER in seen["proc"], seen["proc"])
    need('"licensed":true' in seen["status"].replace(" ", ""), seen["status"])


def claim_prebuilt_modules_are_confirmed_by_a_real_kernel_and_loaded(guest):
    if not os.environ.get("VGPU_ALL"):
        raise check.Skip("only with VGPU_ALL")
    seen = boot(guest, guest.kernels[0], ARCHIVE)
    need(seen["made"].endswith("status 0\n"), seen["made"])
    need(seen["uninstall"].endswith("status 0\n"), seen["uninstall"])
    name = f"nvidia-modules-{scene.DRIVER}-{guest.kernels[0]}-proprietary.tar.gz"
    with open(f"{guest.home}/{name}", "wb") as file:
        file.write(base64.b64decode(seen["archive"]))
    servers.publish(guest.servers, f"{guest.home}/{name}")
    repository = f"{guest.servers}/repository"
    index = output(f"{os.environ['VGPU_BUILD']}/agent/vgpu-guest-agent", "--quiet", "index",
                   *(f"{repository}/{file}" for file in os.listdir(repository) if file != "PULP_MANIFEST"))
    with open(f"{repository}/vgpu-index.json", "w") as file:
        file.write(index)
    seen = boot(guest, guest.kernels[0], PREBUILT)
    need(seen["run"].endswith("status 0\n") and "prebuilt" in seen["run"], seen["run"])
    need("\nnvidia_uvm " in seen["modules"], seen["modules"])
    need(seen["compilers"] == "", seen["compilers"])


with scene.bare(kind=qemu.Guest) as guest:
    scene.furnish(guest)
    servers.publish(guest.servers, scene.bundle())
    guest.image()
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_")], guest))
