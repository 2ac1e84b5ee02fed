# SPDX-License-Identifier: Apache-2.0
"""A disk that loses its power: what was written since the last flush may be on it, or not.

QEMU logs each write and each flush of its guest, by its driver blklogwrites in the format of the kernel's dm-log-writes. after_cut()
makes of that what a disk with a volatile cache may hold in the end: all that was flushed, and of the requests after that some.
"""
import os
import struct

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


def logged(disk, log):
    """QEMU's options for a disk whose requests are logged."""
    open(log, "wb").close()
    return ["-blockdev", f"driver=file,node-name=content,filename={disk}", "-blockdev", f"driver=file,node-name=log,filename={log}",
            "-blockdev", "driver=blklogwrites,node-name=power,file=content,log=log",
            "-device", "virtio-blk-pci,drive=power,serial=disk"]


def requests(log):
    """The log's requests, in the order they were done: (flags, offset on the disk, offset in the log, bytes)."""
    size = os.fstat(log.fileno()).st_size
    if size == 0:  # QEMU was killed before it began one
        return
    magic, version, _, sector = struct.unpack("<QQQI", log.read(28))
    if magic != MAGIC or version != 1:
        raise ValueError("this is no log of writes")
    at = sector
    while at + sector <= size:
        log.seek(at)
        where, count, flags, _ = struct.unpack("<QQQQ", log.read(32))
        length = 0 if flags & DISCARD else count * sector
        # QEMU was killed: an entry that is empty or cut off is one that the guest was never told of.
        if (count == 0 and not flags) or at + sector + length > size:
            return
        yield flags, where * sector, at + sector, length
        at += sector + length


def after_cut(disk, log_path, choose):
    """Bring a copy of the disk as it was to what it may be after the cut; choose(): whether an unflushed request is on it.
    How many requests were safe, how many were not, and how many of these were lost."""
    with open(log_path, "rb") as log, open(disk, "r+b") as target:
        done = list(requests(log))
        safe = max((number + 1 for number, (flags, *_) in enumerate(done) if flags & FLUSH), default=0)
        lost = 0
        for number, (flags, offset, source, length) in enumerate(done):
            if number >= safe and not flags & FUA and not choose():
                lost += 1
                continue
            log.seek(source)
            target.seek(offset)
            target.write(log.read(length))
        return safe, len(done) - safe, lost
