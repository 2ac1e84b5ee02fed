# SPDX-License-Identifier: Apache-2.0
"""A real UEFI firmware with Secure Boot for QEMU's guests: Debian's OVMF, its shim and GRUB as Microsoft and Debian have signed them.

The firmware's variables are a file. This writes the certificates that the firmware and shim shall trust into it, as the vendor of a
machine, or a person at its console, would have; QEMU is given a copy of it that is gone after the boot.
"""
import glob
import os
import shutil
import struct
import tempfile
import uuid

from . import qemu
from .base import CACHE, LabError, output

CODE = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
# Microsoft's keys are in the one, and Secure Boot is on; the other is as it comes from a factory.
VARIABLES = {True: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd", False: "/usr/share/OVMF/OVMF_VARS_4M.fd"}
LOADERS = {"shim-signed": ("usr/lib/shim/shimx64.efi.signed", "BOOTX64.EFI"),
           "grub-efi-amd64-signed": ("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grubx64.efi")}
ESP_MIB = 64

# UEFI 2.10, 32.4.1 and 8.2; EDK II, MdeModulePkg/Include/Guid/VariableFormat.h; shim, README and include/mok.h
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
SECURITY_DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
SHIM = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23")
NON_VOLATILE, BOOT_SERVICE = 1, 2
HEADER = struct.Struct("<HBBIQ16sIII16s")
STARTS, ADDED = 0x55AA, 0x3F


def signature_list(certificate):
    """One certificate, DER, as EFI_SIGNATURE_LIST."""
    return X509.bytes_le + struct.pack("<III", 28 + 16 + len(certificate), 0, 16 + len(certificate)) + uuid.uuid4().bytes_le + certificate


class Variables:
    """What is in a variables file of OVMF's: (guid, name) -> (attributes, time, content)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.image = bytearray(file.read())
        volume = struct.unpack_from("<H", self.image, 48)[0]
        if self.image[40:44] != b"_FVH" or self.image[volume + 20:volume + 22] != b"\x5a\xfe":
            raise LabError(f"{path} has no store of variables")
        self.begin, self.end = volume + 28, volume + struct.unpack_from("<I", self.image, volume + 16)[0]
        self.all, at = {}, self.begin
        while at + HEADER.size < self.end:
            start, state, _, attributes, _, time, _, name_size, size, guid = HEADER.unpack_from(self.image, at)
            if start != STARTS:
                break
            at += HEADER.size
            if state == ADDED:
                name = self.image[at:at + name_size].decode("utf-16-le").rstrip("\0")
                content = bytes(self.image[at + name_size:at + name_size + size])
                self.all[uuid.UUID(bytes_le=guid), name] = (attributes, time, content)
            at = (at + name_size + size + 3) & ~3

    def set(self, guid, name, attributes, content):
        self.all[guid, name] = (attributes, bytes(16), content)

    def trust(self, certificate):
        """In the firmware's db, beside what is there."""
        attributes, time, content = self.all[SECURITY_DATABASE, "db"]
        self.all[SECURITY_DATABASE, "db"] = (attributes, time, content + signature_list(certificate))

    def write(self, path):
        store = b""
        for (guid, name), (attributes, time, content) in self.all.items():
            text = f"{name}\0".encode("utf-16-le")
            store += HEADER.pack(STARTS, ADDED, 0, attributes, 0, time, 0, len(text), len(content), guid.bytes_le) + text + content
            store += b"\xff" * (-len(store) % 4)
        self.image[self.begin:self.end] = store.ljust(self.end - self.begin, b"\xff")
        with open(path, "wb") as file:
            file.write(self.image)


def loaders():
    """Folder of the signed loaders, unpacked and not installed; fetched once."""
    folder = f"{CACHE}/loaders"
    if not os.path.isdir(folder):
        os.makedirs(CACHE, exist_ok=True)
        fresh = tempfile.mkdtemp(prefix="loaders-", dir=CACHE)
        os.chmod(fresh, 0o755)
        output("sh", "-c", f"cd {fresh} && apt-get -q -o APT::Sandbox::User=root download {' '.join(LOADERS)}")
        for package, (path, name) in LOADERS.items():
            [deb] = glob.glob(f"{fresh}/{package}_*.deb")
            output("dpkg-deb", "-x", deb, f"{fresh}/tree")
            shutil.move(f"{fresh}/tree/{path}", f"{fresh}/{name}")
            os.unlink(deb)
        shutil.rmtree(f"{fresh}/tree")
        os.rename(fresh, folder)
    return folder


def system_partition(guest, release, option, path):
    """A FAT disk with shim, GRUB and one kernel of the guest's."""
    tree = f"{guest.home}/esp"
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("EFI/BOOT", "EFI/debian"):
        os.makedirs(f"{tree}/{folder}")
    for _, name in LOADERS.values():
        shutil.copy(f"{loaders()}/{name}", f"{tree}/EFI/BOOT")
    shutil.copy(f"{guest.root}/boot/vmlinuz-{release}", f"{tree}/vmlinuz")
    qemu.initrd(guest.root, release, f"{tree}/initrd.img")
    with open(f"{tree}/EFI/debian/grub.cfg", "w") as file:
        file.write(f"linux /vmlinuz console=ttyS0 {qemu.KERNEL_OPTIONS} {option}\ninitrd /initrd.img\nboot\n")
    if os.path.exists(path):
        os.unlink(path)
    output("mformat", "-C", "-i", path, "-T", str(ESP_MIB << 11), "::")
    output("mcopy", "-s", "-i", path, *(f"{tree}/{name}" for name in os.listdir(tree)), "::/")


def options(guest, release, secure, db=(), mok=(), validates=True, option=""):
    """QEMU's options for a boot of this kernel by the firmware: with or without Secure Boot, certificates (DER) in db and in shim's list,
    and shim's validation as `mokutil --disable-validation` would leave it."""
    variables = Variables(VARIABLES[secure])
    for certificate in db:
        variables.trust(certificate)
    if mok:
        variables.set(SHIM, "MokList", NON_VOLATILE | BOOT_SERVICE, b"".join(signature_list(each) for each in mok))
    if not validates:
        variables.set(SHIM, "MokSBState", NON_VOLATILE | BOOT_SERVICE, b"\1")
    variables.write(f"{guest.home}/variables.fd")
    system_partition(guest, release, option, f"{guest.home}/esp.img")
    return ["-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
            "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}",
            "-drive", f"if=pflash,unit=1,format=raw,file={guest.home}/variables.fd",
            *qemu.drive(guest.disk, "disk", ",snapshot=on"),
            "-drive", f"file={guest.home}/esp.img,if=none,id=esp,format=raw", "-device", "virtio-blk-pci,drive=esp,bootindex=0"]
