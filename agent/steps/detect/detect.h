/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is here: GPUs below <sysfs>/bus/pci/devices, the operating system, its kernels.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/gpu.h"
#include "model/kernel/kernel.h"

/* `sysfs`: the tree that holds bus/pci/devices ("/sys", or --sysfs). None is no error. */
must_check int detect_gpus(const struct root *sysfs, struct gpu_list *ret_gpus,
			   struct error *err);
must_check int detect_os(const struct root *root, struct os *ret_os, struct error *err);

/* Folders of /lib/modules that hold a kernel's modules or its headers, oldest first by
 * name. */
must_check int detect_kernels(const struct root *root, bool online,
			      struct kernel_list *ret_kernels, struct error *err);

/*
 * The running kernel's release, from /proc/sys/kernel/osrelease: what uname(2) says, and
 * the only place that asks.
 */
must_check int detect_release(const struct root *root, char *ret_release, size_t size,
			      struct error *err);

struct detect_driver {
	char version[32]; /* of the module nvidia for the asked kernel; "": none */
	char loaded[32]; /* /sys/module/nvidia/version, "?" when only /proc/modules has it
			  */
	bool grid;       /* nvidia-gridd is installed */
	bool tools;      /* nvidia-smi is installed */
};

/* By modinfo -k RELEASE, /proc/modules and the files; never by a guess at a path. */
must_check int detect_driver(struct runner *runner, const struct root *root,
			     const char *release, struct detect_driver *ret_driver,
			     struct error *err);
