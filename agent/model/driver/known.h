/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is known of driver versions on the kernels that are to have one: which of them
 * compile, and which do not. The repository's index says it, and the guest's own record.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/driver/package.h"
#include "model/kernel/kernel.h"
#include "model/repository/index.h"

#define KNOWN_KERNELS_MAX 16
#define KNOWN_WHY_MAX 200

/* A build of this guest. It says nothing any more once one of its conditions differs. */
struct known_build {
	char file[PACKAGE_NAME_MAX];      /* of the repository; "": from kept sources */
	char sha256[PACKAGE_SHA256_SIZE]; /* as the repository says it; "": it does not */
	char version[VERSION_MAX];
	char kernel[KERNEL_RELEASE_MAX];
	char compiler[192]; /* its own first line */
	char wanted[16];    /* driver.kernel_module, as it was set */
	bool open;          /* and what that came to */
	bool ok;
	bool now;                /* of this run: counts for the version in any file */
	char why[KNOWN_WHY_MAX]; /* it failed; else "" */
};

/* For whom it is asked. The texts and builds are the caller's. */
struct known_input {
	size_t kernel_count;
	const char *kernels[KNOWN_KERNELS_MAX]; /* that are to have the driver */
	const char *arch;
	const char *wanted; /* driver.kernel_module */
	size_t build_count;
	const struct known_build *builds;
	/* What this guest has compiled before speaks for a version only where none is
	 * installed: else nothing newer would ever be chosen. */
	bool own_successes;
};

/* What an index says of these kernels, without its thousands of other lines. */
struct known_list {
	size_t count;
	struct known_line *lines;
};

/*
 * Collects that. The list borrows from `index`, which may be NULL, and `input`. Only
 * memory can fail.
 */
must_check int known_collect(const struct known_input *input, const struct index *index,
			     struct known_list *ret_list, struct error *err);
void known_done(struct known_list *list);

enum known_verdict {
	KNOWN_FAILS = -1, /* on one of the kernels */
	KNOWN_NOTHING,
	KNOWN_WORKS, /* on each of them */
};

struct known {
	enum known_verdict verdict;
	const char *kernel; /* of KNOWN_FAILS, as the rest: on which one, */
	const char *why;    /* in words, "" */
	bool here;          /* and whether this guest has tried it itself */
};

/* What is known of a file of the repository; of its version where `file` has no name. */
struct known known_of(const struct known_input *input, const struct known_list *list,
		      const struct package *file);
