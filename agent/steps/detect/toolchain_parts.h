/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Between the files of steps/toolchain.h: what is looked for, and how it is asked.
 */

#include "steps/detect/toolchain.h"

enum toolchain_part {
	PART_HEADERS = 1 << 0,
	PART_MAKE = 1 << 1,
	PART_COMPILER = 1 << 2,
	PART_LINKER = 1 << 3,
	PART_LIBC = 1 << 4,
	PART_DKMS = 1 << 5,
};

/* What is asked, of whom. */
struct toolchain_ask {
	struct runner *runner;
	const struct root *root;
	struct kernel *kernel; /* read anew where it had no headers */
	struct error *err;     /* of what ends all of it: a signal, a look that failed */
	char why[160]; /* of a program that is there and does not answer; "": none */
};

/*
 * Reads the kernel's headers again, fills the toolchain and the set of enum
 * toolchain_part that is not there; -1 with ask->err.
 */
must_check int toolchain_look(struct toolchain_ask *ask, bool dkms, unsigned *ret_missing,
			      struct toolchain *ret_toolchain);
