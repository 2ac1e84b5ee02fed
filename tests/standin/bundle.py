# SPDX-License-Identifier: Apache-2.0
"""Bundles (NVIDIA-GRID-*.zip) in the layouts that real releases had."""
import random
import zipfile

LAYOUTS = ("flat", "dirs", "dirs-keys", "topdir")
MANUALS = ("grid-gpumodeswitch-user-guide", "grid-licensing-user-guide",
           "grid-software-quick-start-guide", "grid-vgpu-release-notes-generic-linux-kvm",
           "grid-vgpu-user-guide", "whats-new-vgpu")
# The Windows version belongs to the release, which host and guest do not always tell.
WINDOWS = {"410.92": "412.16", "450.203.02": "453.64", "470.63.01": "471.68", "510.85.02": "513.46",
           "525.105.17": "528.89", "525.125.06": "529.11", "525.60.13": "527.41", "525.85.05": "528.24",
           "535.129.03": "537.70", "535.161.07": "538.33", "535.161.08": "538.46",
           "535.183.01": "538.67", "535.183.06": "538.78", "550.54.15": "551.78",
           "550.90.07": "552.55", "550.163.01": "553.74", "570.158.01": "573.39",
           "580.65.06": "580.88"}


def numbers(version):
    return [int(part) for part in version.split(".")]


def has_packages(args):
    """.deb and .rpm are in bundles from 14.0 on."""
    return numbers(args.version) >= [510]


def layout_of(args):
    version = numbers(args.version)
    if args.layout:
        return args.layout
    if args.version == "470.63.01":
        return "topdir"
    if version < [450, 203] or [460] <= version < [470, 141] or [510] <= version < [510, 85]:
        return "flat"
    return "dirs" if version < [510, 108] else "dirs-keys"


def windows_of(args):
    branch = numbers(args.version)[0]
    return WINDOWS.get(args.version, f"{branch + 3}.01")


def name_of(args):
    """7.1 has host and guest the wrong way round in its name: so it was."""
    pair = [args.host_version, args.version]
    if pair == ["410.91", "410.92"]:
        pair.reverse()
    if pair[0] == pair[1]:
        pair.pop()
    return "NVIDIA-GRID-Linux-KVM-" + "-".join(pair + [windows_of(args)])


def windows_members(args):
    windows = windows_of(args)
    branch = numbers(args.version)[0]
    if branch < 470:
        return [f"{windows}_grid_win10_server2016_64bit_international.exe",
                f"{windows}_grid_win8_win7_server2012R2_server2008R2_64bit_international.exe"]
    if branch < 525:
        return [f"{windows}_grid_win10_win11_server2019_server2022_64bit_international.exe"]
    years = "server2022" if branch >= 550 else "server2019_server2022"
    return [f"{windows}_grid_win10_win11_{years}_dch_64bit_international.exe"]


def members_of(args, layout):
    """Member names in their order; a folder ends with a slash."""
    version, branch = args.version, numbers(args.version)[0]
    windows = windows_members(args)
    guest = f"NVIDIA-Linux-x86_64-{version}-grid.run"
    host = f"NVIDIA-Linux-x86_64-{args.host_version}-vgpu-kvm.run"
    rpm = f"nvidia-linux-grid-{branch}-{version}-1.x86_64.rpm"
    deb = f"nvidia-linux-grid-{branch}_{version}_amd64.deb"
    packages = [rpm, deb] if has_packages(args) else []
    stem = name_of(args).removeprefix("NVIDIA-GRID-Linux-KVM-")
    manuals = [f"{stem}-{manual}.pdf" for manual in MANUALS]
    if layout == "flat":
        return windows + [host, guest] + packages + manuals
    if layout == "topdir":
        top = name_of(args)
        return [f"{top}/"] + [f"{top}/{name}" for name in windows + [host, guest] + packages + manuals]
    inside = windows + (packages + [guest] if layout == "dirs" else [guest] + packages)
    members = ["Guest_Drivers/"] + [f"Guest_Drivers/{name}" for name in inside]
    members += ["Host_Drivers/", f"Host_Drivers/{host}"]
    if layout == "dirs-keys":
        members += ["Signing_Keys/", "Signing_Keys/vgpu_debian_publickey.pub",
                    "Signing_Keys/vgpu_rpm_publickey.pub"]
    return (manuals if branch == 535 else []) + members


# Of what a real bundle of 1.6 GB holds besides the guest's .run: Windows, the packages, the host.
SHARES = {"exe": 0.55, "rpm": 0.2, "deb": 0.2, "run": 0.05}


def bulk(name, size):
    """Bytes that no compression makes smaller, as those of an installer, MiB by MiB."""
    dice = random.Random(name)
    for _ in range(int(size)):
        yield dice.randbytes(1 << 20)


def filler(name):
    """Stands for what nobody here reads: not the real thing, but not empty."""
    if name.endswith(".pub"):
        return b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nstand-in\n-----END PGP PUBLIC KEY BLOCK-----\n"
    if name.endswith("-vgpu-kvm.run"):
        return b"#! /bin/sh\necho 'the host driver is not in this stand-in'\nexit 1\n"
    magic = {"pdf": b"%PDF-1.4\n", "exe": b"MZ"}[name.rsplit(".", 1)[1]]
    return magic + random.Random(name).randbytes(4096)


def write(args, made):
    """Writes the bundle into args.output; made has the files that are real."""
    layout = layout_of(args)
    path = args.output / f"{name_of(args)}.zip"
    fresh = path.with_name(path.name + ".new")
    files = {file.name: file for file in made.values()}
    method = zipfile.ZIP_STORED if args.compression == "store" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(fresh, "w", compresslevel=1) as archive:
        for name in members_of(args, layout):
            member = zipfile.ZipInfo(name, (2023, 3, 28, 18, 2, 58))
            member.create_system = 3
            folder = name.endswith("/")
            member.external_attr = (0o40755 << 16 | 0x10) if folder else 0o100644 << 16
            member.compress_type = zipfile.ZIP_STORED if folder else method
            file = files.get(name.rsplit("/", 1)[-1])
            share = SHARES.get(name.rsplit(".", 1)[-1])
            if args.fill and share and not file:
                with archive.open(member, "w") as target:
                    for chunk in bulk(name, args.fill * share):
                        target.write(chunk)
                continue
            if folder or not file:
                archive.writestr(member, b"" if folder else filler(name), compresslevel=1)
                continue
            member.file_size = file.stat().st_size
            with open(file, "rb") as source, archive.open(member, "w") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
    fresh.replace(path)
    return path
