/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The child that keeps NVML open and answers for it. What the library does to its
 * process, crash, hang or corruption, ends there.
 */

#include <sys/types.h>

#include "base/error.h"
#include "model/license/license.h"

struct nvml_child {
	pid_t pid; /* 0: none */
	int fd;
};

#define NVML_CHILD_INIT ((struct nvml_child){ .fd = -1 })

/* Whether a child runs that has answered everything so far. */
bool nvml_child_is_up(const struct nvml_child *child);

/*
 * Starts the child. Whether the library works is only known by the first answer: the
 * library is opened in the child, which a crash of NVIDIA's code may end.
 */
must_check int nvml_child_start(const char *library, struct nvml_child *ret_child,
				struct error *err);

/*
 * One report, see nvml_read(), within `timeout_s`, or until `cancel_fd` can be read (-1:
 * never). The library's own error, ERROR_DRIVER, leaves the child at work; one that died,
 * hangs or babbles is ended.
 */
must_check int nvml_child_ask(struct nvml_child *child, unsigned timeout_s, int cancel_fd,
			      struct license_report *ret_report, bool *ret_exact,
			      struct error *err);

/* Ends the child; fine where none runs. */
void nvml_child_end(struct nvml_child *child);
