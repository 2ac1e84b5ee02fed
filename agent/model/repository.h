/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a driver repository offers, as the worker read it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "model/catalog.h"
#include "model/package.h"

enum repository_source {
	REPOSITORY_NONE,
	REPOSITORY_MANIFEST, /* PULP_MANIFEST */
	REPOSITORY_LISTING,  /* an index page: names only */
};

struct repository {
	enum repository_source source;
	bool verified; /* https with a verified peer, also after redirects */
	size_t count;  /* guest drivers that package_parse() knows */
	struct package *packages;
	size_t passed_over_count; /* other files that look like drivers, for plan */
	struct repository_other {
		char name[PACKAGE_NAME_MAX];
		char why[96];
	} * passed_over;
	size_t warning_count; /* "PULP_MANIFEST line 7: ..." */
	char (*warnings)[160];
	struct catalog *catalog; /* NULL: none */
};

/*
 * The answer of the worker's job "list":
 *   {"source":"manifest"|"listing","verified":bool,
 *    "files":[{"name":s,"size":i,"sha256":s}],   every file that ends like a package
 *    "warnings":[s,...],"catalog":{...}|null}
 */
must_check int repository_from_json(const struct json *json,
				    struct repository *ret_repository, struct error *err);
void repository_done(struct repository *repository);
