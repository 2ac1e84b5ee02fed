/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Compiles the kernel modules in an unpacked tree. Nothing of the system changes.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

struct build_input {
	const char *tree;    /* the unpacked package, or the kept kernel sources */
	const char *version; /* of the driver: the module must say the same */
	bool open;           /* kernel-open instead of kernel */
	const struct kernel *kernel;
	const struct toolchain *toolchain;
	int log_fd;
	const char *log_path; /* for the hint */
	const char *dir;      /* where the work is done; NULL: PATHS_BUILD */
	bool reproducible;    /* the same modules wherever and whenever they are made */
};

/*
 * Compiles in a fresh copy below PATHS_BUILD, so that the sources stay clean for another
 * kernel. ERROR_BUILD with the error lines of make and the log's path; checks afterwards
 * that nvidia.ko is there and that vermagic and version are the asked ones. The modules
 * lie in PATHS_BUILD "/REL" until build_discard() or the next build.
 */
must_check int build_modules(struct runner *runner, const struct root *root,
			     const struct build_input *input,
			     struct build_result *ret_result, struct error *err);
must_check int build_discard(const struct root *root, struct error *err);

/*
 * The same by DKMS: the sources are put where they stay (see model/kernel/dkms.h),
 * replaced whole, registered as nvidia/VERSION and built for input->kernel; installed is
 * nothing, and no new kernel is built for. `key`: DKMS is to sign with it from now on;
 * "": with what it likes. ERROR_BUILD with the first errors of its make.log,
 * ERROR_PREREQUISITES where DKMS cannot work, ERROR_INSTALL where others' sources are in
 * the way.
 */
struct build_dkms_key {
	const char *key, *cert;
};
must_check int build_dkms(struct runner *runner, const struct root *root,
			  const struct build_input *input,
			  const struct build_dkms_key *key, struct error *err);

/*
 * The certificate of the key that DKMS signs with: where its framework.conf says one,
 * else where DKMS and shim-signed make one. False: there is none.
 */
bool build_dkms_certificate(const struct root *root, char *ret_path, size_t size);

struct build_choice {
	const char *tree;    /* the unpacked package */
	const char *version; /* of the driver */
	const char *wanted;  /* driver.kernel_module: "auto", "open", "proprietary" */
};

/* Which flavour: the wanted one, else the package's own advice, else by branch. */
must_check int build_flavour(struct runner *runner, const struct root *root,
			     const struct build_choice *choice, bool *ret_open,
			     struct error *err);
