/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the user asks of a command: the command line, read. The texts are argv's.
 */

#include "core/context.h"

#define REQUEST_OPERANDS_MAX 1024 /* the files of an index */
#define REQUEST_DROPS_MAX 256

struct request {
	struct options options;
	bool json;
	const char *output;   /* --output FILE or DIR, or NULL */
	const char *bundle;   /* --bundle FILE, or NULL */
	const char *previous; /* --previous FILE, or NULL */
	const char *drops[REQUEST_DROPS_MAX];
	size_t drop_count;
	bool expires;          /* --expires stands there, also with 0: never */
	unsigned expires_days; /* from now on */
	unsigned wait_s, lock_wait_s;
	bool waits;      /* --wait stands there, also with 0 */
	bool token_only; /* of run */
	bool origin;
	unsigned size;          /* of validate's matrix, 0: the default */
	bool watch, prometheus; /* of the command status */
	const char *operands[REQUEST_OPERANDS_MAX]; /* the command's arguments */
	size_t operand_count;
	/*
	 * Shows one look of `status --watch`; `now` is its error, code ERROR_NONE where
	 * all is well. -1 ends the watch.
	 */
	int (*each_look)(const struct request *request, const struct json *report,
			 const struct error *now, struct error *err);
};
