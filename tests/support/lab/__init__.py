# SPDX-License-Identifier: Apache-2.0
"""Throw-away guests and the servers around them.

base     a Debian tree with two kernels and their headers, built once and kept
network  a network namespace of its own for each guest
servers  the https repository, the metadata service and the way out to the mirror
nspawn   a guest booted by systemd-nspawn on an overlay of the base
qemu     a guest booted by QEMU on a real kernel, from an image of the base
scene    all of it put together, with a driver, for one test

Nothing here touches a device of the machine or its own services; every process started is a child of the caller or is
named in a pid file of the guest's own folder.
"""
