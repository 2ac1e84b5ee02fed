/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The next index of a repository: the one before it, with what is new and without what
 * is gone. The document is handled as JSON, so that entries which stay keep also the keys
 * that this version of the agent does not know.
 */

#include <stddef.h>

#include "base/error.h"
#include "base/json.h"

struct index_merge {
	const struct json *previous; /* a document index_from_json() takes, or NULL */
	const struct json *files;    /* entries of the files that were read, */
	const struct json *modules;  /* and of the archives of modules */
	const struct json *builds;   /* of the notes of builds; NULL: none */
	const char *const *drops;    /* names that are taken out of `previous` */
	size_t drop_count;
	const char *epoch;   /* RFC 3339: "created" whatever changed; NULL: not said */
	const char *newest;  /* RFC 3339: the time of the newest file; NULL: no file */
	const char *expires; /* RFC 3339; "": none; NULL: as in `previous` */
};

/*
 * Whether the drops can be done: ERROR_USAGE for a name that `previous` does not have, or
 * that is also given. Of the entries only the names are read.
 */
must_check int index_merge_check(const struct index_merge *merge, struct error *err);

/*
 * A new entry replaces the previous one of its name; of builds, the one of the same
 * version, kernel and flavour. A build that failed goes where its modules have come.
 * "serial" counts on where anything but "created" differs from `previous`, so the same
 * input makes the same document. "created" is `epoch`, else that of `previous` where
 * nothing changed, else the later of `newest` and that of `previous`. ERROR_USAGE as of
 * index_merge_check().
 */
must_check int index_merge(const struct index_merge *merge, struct json **ret_index,
			   struct error *err);
