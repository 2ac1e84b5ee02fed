/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A command's context on a temporary system root, for tests of what lies above the steps:
 * commands are answered by a script, the settings are the defaults, and nothing is asked
 * of the machine that the test runs on.
 */

#include "core/context.h"
#include "support/script.h"
#include "support/sysroot.h"

struct stage {
	struct options options;
	struct tools tools;
	struct context ctx;
};

/* Online, as `run`, without a script: a command that is started is run for real. */
void stage_set(struct stage *ret_stage, const struct sysroot *sysroot);
void stage_clear(struct stage *stage);

/* A GPU on the stage's PCI bus, passed through or unreadable, without a driver. */
void stage_add_gpu(const struct sysroot *sysroot);

/* An executable file, with the folders above it. */
void stage_add_program(const struct sysroot *sysroot, const char *path, const char *text);

/*
 * A worker that is a shell script: it finds the line it was asked in $request, the talk
 * on descriptor 3 and what it was handed from 4 on.
 */
void stage_set_worker(struct stage *stage, const struct sysroot *sysroot,
		      const char *script);
