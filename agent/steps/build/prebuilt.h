/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Archives of prebuilt kernel modules: packs those of a build for other guests, takes
 * those of an archive and judges whether they belong to a kernel.
 */

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"
#include "model/kernel/symvers.h"
#include "model/repository/prebuilt.h"
#include "steps/detect/module_file.h"

/* The modules of one kernel, to be packed. */
struct prebuilt_input {
	struct runner *runner;
	const struct root *root; /* holds the modules */
	const struct channel *channel;
	const struct build_result *built;
	int cert; /* certificate of the key they are signed with; -1: none */
};

/*
 * Fills in of `prebuilt` what the modules themselves say, and writes the archive to the
 * descriptor `output`.
 */
must_check int prebuilt_pack(const struct prebuilt_input *input,
			     struct prebuilt *prebuilt, int output, struct error *err);

/* What an archive holds; judged by nobody yet. */
struct prebuilt_content {
	struct prebuilt manifest;
	struct build_result built;
	bool verified; /* signed by the certificate that it carries, `signed_by` */
};

/*
 * Unpacks the archive into the folder `dir` of the root, which is made anew.
 * ERROR_INTEGRITY for an archive that is damaged.
 */
must_check int prebuilt_unpack(const struct channel *channel, const struct root *root,
			       int archive, const char *dir,
			       struct prebuilt_content *ret_content, struct error *err);

/*
 * Whether the modules are the kernel's: the same vermagic as its own modules have, and no
 * other symbol versions than its own modules and, where there are headers, its
 * Module.symvers name. ERROR_INTEGRITY, with the reason, on any doubt.
 */
must_check int prebuilt_check(const struct root *root, const char *release,
			      const struct build_result *built, struct error *err);

/*
 * The kernel's configuration, where that says that its symbols have no versions: then no
 * check can prove that modules made elsewhere fit. False: they have, or nothing says so.
 */
#define PREBUILT_CONFIG_SIZE 160
bool prebuilt_check_unprovable(const struct root *root, const char *release,
			       char ret_file[static PREBUILT_CONFIG_SIZE]);

/* Between the files of this room: the symbol versions of all these modules. */
must_check int prebuilt_symvers(const struct module_file_library *library,
				const struct root *root, const struct build_result *built,
				struct symvers *symvers, struct error *err);
