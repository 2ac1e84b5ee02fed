/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs the modules that were built, for a kernel that accepts only signed ones.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

struct sign_key {
	const char *key;  /* PEM, inside the root */
	const char *cert; /* PEM or DER, inside the root */
};

/*
 * By the kernel's own scripts/sign-file, in place, before the modules are installed.
 * ERROR_PREREQUISITES where the kernel's headers have no sign-file, ERROR_SECURE_BOOT
 * where it refuses the key.
 */
must_check int sign_modules(struct runner *runner, const struct root *root,
			    const struct sign_key *key, const struct kernel *kernel,
			    const struct build_result *build, struct error *err);
