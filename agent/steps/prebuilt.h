/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Archives of prebuilt kernel modules: packed after a build, and unpacked and examined
 * before an installation that then needs neither compiler nor headers.
 */

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/kernel.h"
#include "model/modules.h"
#include "model/prebuilt.h"
#include "model/symvers.h"

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

/*
 * The modules of the archive `fd` into the folder `dir`, which is made anew, and what its
 * own manifest says. ERROR_INTEGRITY where the archive is not whole and exact.
 */
must_check int prebuilt_unpack(int fd, const char *dir, const struct root *root,
			       const struct channel *channel,
			       struct prebuilt *ret_prebuilt,
			       struct build_result *ret_built, struct error *err);

/*
 * Whether the kernel would load the modules: driver version, vermagic and the CRCs of the
 * symbols, compared with what the kernel's own modules and, where there are headers,
 * Module.symvers say. ERROR_INTEGRITY where they contradict, ERROR_PREREQUISITES where
 * there is nothing to compare with.
 */
must_check int prebuilt_check(struct runner *runner, const struct root *root,
			      const struct kernel *kernel, const char *version,
			      const struct build_result *built, struct error *err);

/* Whether the kernel holds the certificate that `signed_by` names: by /proc/keys. */
bool prebuilt_is_trusted(const struct root *root, const char *signed_by);

/*
 * Between the files of this room: a field of the modules, one line each; and the symbol
 * versions of one module, as text, or of all, none without CONFIG_MODVERSIONS.
 */
must_check int prebuilt_fields(struct runner *runner, const struct root *root,
			       const struct build_result *built, const char *field,
			       struct run_result *ret_result, struct error *err);
must_check int prebuilt_dump(struct runner *runner, const struct root *root,
			     const char *module, struct run_result *ret_result,
			     struct error *err);
must_check int prebuilt_read_symvers(struct runner *runner, const struct root *root,
				     const struct build_result *built,
				     struct symvers *symvers, struct error *err);
