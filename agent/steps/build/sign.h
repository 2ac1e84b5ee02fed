/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs the modules that were built, for a kernel that accepts only signed ones, and
 * judges the key before there is anything to sign.
 */

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

struct sign_key {
	const char *key;  /* PEM, inside the root; "": only the certificate is read */
	const char *cert; /* PEM or DER, inside the root */
	/*
	 * Signs in the key's place, inside the root; NULL: nobody. It is called with two
	 * files: the first holds a module's SHA-256 in hexadecimal, into the second one
	 * it writes the detached signature (CMS in DER, see scripts/sign-digest).
	 */
	const char *command;
};

/* The certificate of a key, as a kernel tells it from others. */
struct sign_cert {
	char key_id[97]; /* hexadecimal, as in /proc/keys */
	char name[65];   /* for people */
	char kind[16];   /* "RSA", "EC" */
};

/*
 * Whether modules can be signed with this key, by the worker, which reads both files.
 * ERROR_USAGE, each in its own words, where a file is missing, can be reached by others
 * or is no such key or certificate, or the two are no pair; ERROR_PERMISSION where they
 * cannot be read.
 */
must_check int sign_judge(const struct channel *channel, const struct root *root,
			  const struct sign_key *key, struct sign_cert *ret_cert,
			  struct error *err);

/* Whether the last signature of the module is of the certificate's key. */
must_check int sign_is_by(const struct channel *channel, const struct root *root,
			  const struct sign_key *key, const char *module,
			  bool *ret_is_signer, struct error *err);

/*
 * By the kernel's own scripts/sign-file, in place, before the modules are installed, with
 * a key that sign_judge() has found good. ERROR_PREREQUISITES where the kernel's headers
 * have no sign-file, ERROR_SECURE_BOOT where it refuses the key all the same, or where
 * the command brings no signature.
 */
must_check int sign_modules(struct runner *runner, const struct root *root,
			    const struct sign_key *key, const struct kernel *kernel,
			    const struct build_result *build, struct error *err);
