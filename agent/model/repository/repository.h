/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a driver repository offers, as the worker read it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/catalog.h"
#include "model/driver/package.h"
#include "model/repository/index.h"

enum repository_source {
	REPOSITORY_NONE,
	REPOSITORY_MANIFEST, /* PULP_MANIFEST */
	REPOSITORY_LISTING,  /* an index page: names only */
	REPOSITORY_INDEX,    /* neither, but vgpu-index.json */
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
	struct index *index;     /* NULL: none */
	bool index_verified;     /* as `verified` */
	bool index_signed;       /* by a key of driver.index_key */
};

/*
 * The answer of the worker's job "list":
 *   {"source":"manifest"|"listing"|"index","verified":bool,
 *    "files":[{"name":s,"size":i,"sha256":s}],   packages and archives of modules
 *    "warnings":[s,...],"catalog":{...}|null,
 *    "index":{...}|null,"index_verified":b,"index_signed":b}
 * What the index says of a file is taken into its package. A file of which manifest and
 * index say different things is passed over, and, where the index is signed, one that is
 * not in it; how many of these there are is a warning.
 *
 * Where there is a manifest it says what exists, and where: files and archives that only
 * the index names are passed over, and an entry whose checksum the manifest has under
 * another name gets that name, in `index`, too. What such a file is its name in the index
 * decides, which a signature may cover.
 */
must_check int repository_from_json(const struct json *json,
				    struct repository *ret_repository, struct error *err);
void repository_done(struct repository *repository);

/*
 * The URL of the file `name` in the repository at `base`, which may end in "/"; the name
 * is percent-encoded. False: it is too long.
 */
bool repository_file_url(const char *base, const char *name, char *ret_url, size_t size);
