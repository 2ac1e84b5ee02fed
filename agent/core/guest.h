/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The guest as it was found: looked at once, at the beginning of a command, and const
 * afterwards.
 */

#include "core/context.h"
#include "model/gpu.h"
#include "model/kernel/kernel.h"
#include "steps/detect/detect.h"

struct guest {
	struct gpu_list gpus;
	struct host_driver host; /* version "": not known */
	struct error host_why;   /* why it is not known, or that GPUs disagree on it */
	struct os os;
	struct kernel_list kernels;
	size_t target_count; /* kernels that are to have the driver */
	struct kernel targets[CONTEXT_KERNELS_MAX];
	struct detect_driver installed; /* for the running kernel, or the first target */
};

/* The host's driver version could not be read for want of root. */
bool guest_host_unreadable(const struct guest *guest);

/*
 * Looks for all of it. Offline nothing is looked for but the system's files. No GPU is no
 * error here; ERROR_USAGE and ERROR_PREREQUISITES for a --kernel that is none.
 */
must_check int guest_look(const struct context *ctx, struct guest *ret_guest,
			  struct error *err);

/* Of it only the GPUs and their host, */
must_check int guest_look_gpus(const struct context *ctx, struct guest *ret_guest,
			       struct error *err);

/* or only the system, its kernels and the targets. */
must_check int guest_look_kernels(const struct context *ctx, struct guest *ret_guest,
				  struct error *err);

/*
 * A guest that is not here and has no driver yet, on a host of this driver version. Its
 * system is the root's, its kernels are the names after --kernel, its vGPUs the GPUs
 * below --sysfs, else one whose type is not known. ERROR_USAGE for what is no version or
 * no kernel.
 */
must_check int guest_suppose(const struct context *ctx, const char *host_version,
			     struct guest *ret_guest, struct error *err);

/* ERROR_NO_GPU where a running guest has none. */
must_check int guest_need_gpu(const struct context *ctx, const struct guest *guest,
			      struct error *err);

/*
 * Once the GPUs are known, and again after the settings were put together: where nobody
 * set license.feature_type, a passed-through guest goes by the 2 or 4 that its gridd.conf
 * has.
 */
void guest_adopt_feature_type(const struct context *ctx, const struct guest *guest,
			      struct settings *settings);

/* In a few words, for the report. */
void guest_describe(const struct context *ctx, const struct guest *guest, char *buffer,
		    size_t size);
