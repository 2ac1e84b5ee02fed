/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a kernel module needs to be compiled: the exact headers of that kernel, make, ld,
 * libc's headers and the compiler that the kernel was built with. Where DKMS is to
 * do it, dkms, too.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

/*
 * Looks; what is missing is no error. `kernel` is read anew where it has no headers. Each
 * program is asked for its version: a name, or a link to nothing, is no compiler. -1
 * where a signal ends the asking.
 */
must_check int toolchain_find(struct runner *runner, const struct root *root,
			      const struct kernel *kernel, bool dkms,
			      struct toolchain *ret_toolchain, struct error *err);

/* The compiler's own first line: "gcc-12 (Debian 12.2.0-14) 12.2.0". */
must_check int toolchain_version(struct runner *runner, const struct root *root,
				 const struct toolchain *toolchain, char *ret_text,
				 size_t size, struct error *err);

/* The system that gets them. */
struct toolchain_system {
	const struct root *root;
	const struct os *os;
	struct runner *runner;
	bool dkms;
	int log_fd; /* gets the package manager's output; 0: nowhere */
};

/*
 * The packages of what is missing, by the names of this system, blanks between them: for
 * a person to type. "" where nobody knows them. -1 where a signal ends the asking.
 */
must_check int toolchain_install_names(const struct toolchain_system *system,
				       const struct kernel *kernel, char *ret_names,
				       size_t size, struct error *err);

/*
 * Installs the exact headers and the compiler with the system's package manager, by the
 * names of its family (model/family.h), waiting for its locks; where nothing is missing
 * nothing is asked. ERROR_PREREQUISITES with the hint where they are not to be had; never
 * the headers of another kernel. Updates `kernel`.
 */
must_check int toolchain_install(const struct toolchain_system *system,
				 struct kernel *kernel, struct toolchain *ret_toolchain,
				 struct error *err);
