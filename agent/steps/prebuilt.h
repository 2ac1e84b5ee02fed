/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Packs the kernel modules of a build into an archive for other guests.
 */

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/kernel.h"
#include "model/modules.h"
#include "model/prebuilt.h"

/* The modules of one kernel, to be packed. */
struct prebuilt_input {
	struct runner *runner;
	const struct root *root; /* holds the modules */
	const struct channel *channel;
	const struct build_result *built;
	const char *compiler; /* absolute */
	int cert;             /* certificate of the key they are signed with; -1: none */
};

/*
 * Fills in of `prebuilt` what the modules themselves and the compiler say, and writes the
 * archive to the descriptor `output`.
 */
must_check int prebuilt_pack(const struct prebuilt_input *input,
			     struct prebuilt *prebuilt, int output, struct error *err);
