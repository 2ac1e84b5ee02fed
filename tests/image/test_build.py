#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Images that disk-image-create builds with the element, in both modes, each with a boot loader; then booted, in systemd-nspawn and, by
their own boot loader, in QEMU, until they are licensed. VGPU_ALL=1: twenty minutes."""
import hashlib
import json
import os
import re
import sys
import tempfile
import time

import cloud
import dib
from lab import base, check, scene, servers
from lab.check import need

check.need_root_and("systemd-nspawn", "mmdebstrap", "nginx", "ip", "disk-image-create", "sudo", "mkfs.ext4", "sfdisk",
                    "qemu-system-x86_64", "genisoimage")
if os.environ.get("VGPU_ALL") != "1":
    print("skipped: building images takes minutes; VGPU_ALL=1 does it")
    sys.exit(77)

TOKEN, IN_THE_IMAGE, BY_FILE = (scene.tool("make-token").decode() + "\n" for _ in range(3))
OURS = json.dumps({"vgpu_guest_agent": {"client_token": TOKEN}})
# Of the documentation's recipe what this distribution has.
BESIDE = ["cloud-init", "disable-nouveau", "dkms"]
BUILD_TOOLS = ["cmake", "libcurl4-openssl-dev", "libconfig-dev"]
BOOT_SECONDS = 1000
BOOT = """
part() { echo "=== $1"; }
until [ -e /run/vgpu-guest-agent/licensed ] || [ $(cut -d. -f1 /proc/uptime) -gt 800 ]; do sleep 2; done
part uptime; cat /proc/uptime
part cmdline; cat /proc/cmdline
part status; vgpu-guest-agent --json status; echo "status $?"
part modules; lsmod
part driver; cat /proc/driver/nvidia/version
part journal; journalctl --no-pager -o cat -u vgpu-guest-agent
part datasource; UNTIL_DONE; cat /run/cloud-init/result.json
part tenant; cat /root/tenant-runcmd /root/tenant-file
exit 0
""".replace("UNTIL_DONE", cloud.UNTIL_DONE)


def timed(image, *arguments, **variables):
    began = time.monotonic()
    image.build(*arguments, **variables)
    print(f"# disk-image-create: {time.monotonic() - began:.0f} s", flush=True)


def claim_an_image_with_the_agent_is_built_from_its_tree(images, folder):
    image = images["firstboot"] = dib.Image(folder, "firstboot")
    prepared, tar = images["base"]
    timed(image, tar, ["nvidia-vgpu"], CLIENT_TOKEN=IN_THE_IMAGE, REPOSITORY=servers.REPOSITORY_URL)
    need(not os.path.exists(f"{image.root}/usr/lib/modules/{prepared.kernels[0]}/updates"), "it built the driver")


def claim_an_image_with_the_driver_is_built_beside_other_elements(images, folder):
    image = images["image"] = dib.Image(folder, "image")
    prepared, tar = images["base"]
    with open(f"{folder}/token", "w") as file:
        file.write(BY_FILE)
    timed(image, tar, ["nvidia-vgpu", *BESIDE], CLIENT_TOKEN_FILE=f"{folder}/token", DRIVER_URL="file://" + scene.package("run"),
          INSTALL="image", AGENT_PACKAGE=cloud.package(folder))
    module = base.output("find", f"{image.root}/usr/lib/modules", "-path", "*/updates/*", "-name", "nvidia.ko*").split()
    need(len(module) == 1, module)
    magic = base.output("modinfo", "-F", "vermagic", module[0]).split()[0]
    need(magic == prepared.kernels[0] != os.uname().release, f"vermagic {magic}")


def claim_no_secret_is_where_it_does_not_belong(images, _):
    """Not in what the build said, not in the manifests beside it; in the image in the token's own place alone."""
    for name, token in (("firstboot", IN_THE_IMAGE), ("image", BY_FILE)):
        image, part = images[name], token[100:160]
        need(part not in image.said, "the token is in the build's log")
        need("DIB_PYTHON_VERSION" in open(f"{image.root}/etc/dib-manifests/dib_environment").read(), "no manifest to look at")
        need(image.holders(part) == ["/etc/nvidia/ClientConfigToken/client_configuration_token.tok"], image.holders(part))


def claim_the_tools_that_only_the_build_needed_are_gone(images, _):
    for name in ("firstboot", "image"):
        status = open(f"{images[name].root}/var/lib/dpkg/status").read()
        for tool in BUILD_TOOLS:
            need(f"\nPackage: {tool}\n" not in "\n" + status, f"{tool} is in the image")
        need("\nPackage: vgpu-guest-agent\n" in "\n" + status, "the agent is not installed as a package")


def licensed_by_itself(image, prepared, **documents):
    with dib.container(image, prepared, **documents) as guest:
        cloud.wait_licensed(guest)
        source = guest.exec(["sh", "-c", f"{cloud.UNTIL_DONE}; cat /run/cloud-init/result.json"], timeout=240).stdout.decode()
        need("DataSourceConfigDrive" in source, source)
        return guest.journal("-u", "vgpu-guest-agent")


def claim_the_image_with_the_agent_boots_to_licensed(images, _):
    said = licensed_by_itself(images["firstboot"], images["base"][0], vendor_data=OURS)
    need("compiling for" in said and "metadata service" in said, said)


def claim_the_image_with_the_driver_boots_to_licensed_and_compiles_nothing(images, _):
    need("compiling for" not in licensed_by_itself(images["image"], images["base"][0]), "it was compiled again")


def by_its_boot_loader(image, prepared, source, give, **documents):
    """Boots the disk to licensed; source: the name of cloud-init's data source. What the parts of BOOT said."""
    with dib.machine(image, prepared) as guest:
        began = time.monotonic()
        status, text = guest.boot_and_run(BOOT, BOOT_SECONDS, *give(guest, **documents))
        serial = guest.serial()
    parts = re.split(r"^=== (\w+)\n", text, flags=re.M)[1:]
    seen = dict(zip(parts[::2], parts[1::2]))
    print(f"# QEMU: licensed {seen['uptime'].split()[0]} s after the kernel began, {time.monotonic() - began:.0f} s in all")
    need(status == 0 and seen["status"].endswith("status 0\n"), f"{text[-5000:]}\n{serial[-3000:]}")
    need("BOOT_IMAGE=/boot/vmlinuz-" in seen["cmdline"], seen["cmdline"])
    need(re.search(r"^nvidia_uvm ", seen["modules"], re.M) and scene.DRIVER in seen["driver"], seen["modules"])
    need(source in seen["datasource"], seen["datasource"])
    need(TOKEN[100:160] not in serial and TOKEN[100:160] not in text, "the token was shown")
    return seen


def claim_the_disk_boots_by_its_own_loader_with_a_config_drive_and_is_licensed(images, _):
    seen = by_its_boot_loader(images["firstboot"], images["base"][0], "DataSourceConfigDrive", dib.config_drive, vendor_data=OURS)
    need("compiling for" in seen["journal"] and "config drive" in seen["journal"], seen["journal"])


def claim_the_disk_boots_with_the_metadata_service_and_is_licensed(images, _):
    seen = by_its_boot_loader(images["firstboot"], images["base"][0], "DataSourceOpenStack", dib.nova, vendor_data=OURS)
    need("compiling for" in seen["journal"] and "metadata service" in seen["journal"], seen["journal"])


def claim_the_disk_with_the_driver_boots_by_its_own_loader_and_compiles_nothing(images, _):
    seen = by_its_boot_loader(images["image"], images["base"][0], "DataSourceConfigDrive", dib.config_drive)
    need("compiling for" not in seen["journal"], seen["journal"])


def stock(guest):
    """What an operator gives to an image that knows nothing of the agent; and a tenant's user-data."""
    with tempfile.TemporaryDirectory() as folder:
        package = cloud.package(folder)
        servers.publish(guest.servers, package)
        with open(package, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with open(f"{folder}/t.tok", "w") as file:
            file.write(TOKEN)
        status, said, out = cloud.make_vendor_data(folder, {
            ("driver", "repository"): servers.REPOSITORY_URL, ("license", "token_file"): "t.tok",
            ("http", "ca_file"): f"{guest.servers}/ca.pem", ("package", "deb_sha256"): sha256,
            ("package", "deb_url"): f"{servers.REPOSITORY_URL}{cloud.PACKAGE}"})
        need(status == 0, said)
        with open(f"{out}/vendor-data.json") as file:
            return dib.config_drive(guest, user_data=cloud.USER_DATA, vendor_data=file.read())


def claim_a_stock_image_is_licensed_by_vendor_data_alone_beside_a_tenants_user_data(images, folder):
    image = dib.Image(folder, "stock")
    prepared, tar = images["base"]
    timed(image, tar, ["cloud-init"])
    need(not os.path.exists(f"{image.root}/usr/bin/vgpu-guest-agent"), "the agent is in the stock image")
    seen = by_its_boot_loader(image, prepared, "DataSourceConfigDrive", stock)
    need("compiling for" in seen["journal"], seen["journal"])
    need(seen["tenant"] == "ran\nwritten", seen["tenant"])


os.makedirs(scene.SCENES, exist_ok=True)
with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
    state = {"base": dib.rootfs(work)}
    only = os.environ.get("VGPU_ONLY", "")
    sys.exit(check.run([value for name, value in list(globals().items()) if name.startswith("claim_") and only in name],
                       state, work))
