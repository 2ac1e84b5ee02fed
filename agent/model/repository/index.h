/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vgpu-index.json of a repository (contract, section 8): what its files hold, said by the
 * operator. Unknown keys are passed over: keys are only ever added.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/member.h"
#include "model/driver/package.h"
#include "model/kernel/kernel.h"

#define INDEX_FILE "vgpu-index.json"
#define INDEX_SIZE_MAX (2u << 20) /* bytes of the document */
#define INDEX_FILES_MAX 10000     /* in each of the three lists */
#define INDEX_MEMBERS_MAX 64      /* guest drivers of one bundle */
#define INDEX_NUMBER_MAX ((int64_t)1 << 53)
#define INDEX_WARNINGS_MAX 20

/* A guest driver in a bundle. */
struct index_member {
	char name[PACKAGE_NAME_MAX];
	enum package_kind kind; /* run, deb or rpm */
	char version[VERSION_MAX];
	char arch[16];
	uint64_t offset;          /* of its local header */
	unsigned method;          /* 0 stored, 8 deflated */
	uint64_t compressed_size; /* fits between `offset` and the bundle's end */
	uint64_t size;
	char sha256[PACKAGE_SHA256_SIZE]; /* of the unpacked bytes, lower case */
};

struct index_file {
	char name[PACKAGE_NAME_MAX]; /* relative to the repository, safe */
	uint64_t size;
	char sha256[PACKAGE_SHA256_SIZE];
	enum package_kind kind;         /* PACKAGE_BUNDLE when it has members */
	char version[VERSION_MAX];      /* of a bundle "": its members say it */
	char arch[16];                  /* the same */
	char host_version[VERSION_MAX]; /* "": not said */
	size_t member_count;
	struct index_member *members;
};

/* Whether a driver's modules compile for a kernel, as somebody has tried. */
struct index_build {
	char version[VERSION_MAX];
	char kernel[KERNEL_RELEASE_MAX];
	char arch[16]; /* "": not said */
	bool open;     /* the open modules */
	bool ok;
	char why[160]; /* where it does not; "": not said */
};

struct index {
	int64_t serial;
	char created[32]; /* "": not said */
	char expires[32]; /* "": never; as it stands there */
	size_t file_count;
	struct index_file *files; /* by name */
	/*
	 * Archives of prebuilt modules: objects with a safe "name", "size" and "sha256";
	 * the other keys are unread.
	 */
	struct json *modules;
	size_t build_count;
	struct index_build *builds;
	size_t warning_count; /* "files[3] has an unsafe name: skipped" */
	char (*warnings)[160];
};

/*
 * An entry that is damaged is skipped, with a warning. ERROR_INTEGRITY for an index of
 * another schema, without a serial, with an `expires` that is no text, with two entries
 * of one name, or that is none.
 */
must_check int index_from_json(const struct json *json, struct index **ret_index,
			       struct error *err);

void index_free(struct index *index);
static inline void index_cleanup_(struct index **index)
{
	index_free(*index);
}
#define cleanup_index cleanup(index_cleanup_)

/*
 * Whether a file of this name is an archive of prebuilt modules: only such ones are in
 * `modules`.
 */
bool index_is_archive(const char *name);

/*
 * Whether a file of this name is the note of a build: prebuild-modules leaves one beside
 * the archives where it had no success. `index` takes it into `builds`; no guest reads
 * it.
 */
bool index_is_note(const char *name);

/* NULL, or what is wrong with an entry of `builds`. */
const char *index_build_from_json(const struct json *json, struct index_build *ret_build);
/* NULL: no memory. */
struct json *index_json_build(const struct index_build *build);

/* NULL when there is none of this name. */
const struct index_file *index_find(const struct index *index, const char *name);
const struct index_member *index_find_member(const struct index_file *file,
					     const char *name);

/* The one that is wished for, as member_choose(): NULL when there is none, or two. */
const struct index_member *index_choose(const struct index_file *file,
					const struct member_wish *wish);

/* The document again, without what was skipped. NULL: no memory. */
struct json *index_json(const struct index *index);
