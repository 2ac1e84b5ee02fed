/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is known of an archive of prebuilt kernel modules: an entry of the index's list
 * "modules", or the archive's own manifest.json, which has the same keys.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/package.h"
#include "model/driver/version.h"
#include "model/kernel/kernel.h"

#define PREBUILT_TEXT_MAX 192

struct prebuilt {
	char name[PACKAGE_NAME_MAX]; /* relative to the repository, safe */
	char version[VERSION_MAX];
	char kernel[KERNEL_RELEASE_MAX];
	char vermagic[PREBUILT_TEXT_MAX];
	char compiler[PREBUILT_TEXT_MAX];
	char symbols[PACKAGE_SHA256_SIZE]; /* of the kernel's symbol versions; "": none */
	bool open;
	char arch[16];
	char signed_by[PREBUILT_TEXT_MAX]; /* the certificate; "": not signed */
	uint64_t size;                     /* 0 in a manifest */
	char sha256[PACKAGE_SHA256_SIZE];  /* "" in a manifest */
};

/* False where a key is missing or is not what it must be. */
bool prebuilt_from_json(const struct json *json, struct prebuilt *ret_prebuilt);

/* The manifest without "modules", which the worker adds. */
struct json *prebuilt_manifest(const struct prebuilt *prebuilt);

/* Which of the two is meant: "open" or "proprietary". */
const char *prebuilt_flavour(bool open);

/* For whom an archive is looked for. */
struct prebuilt_wish {
	const char *version, *kernel, *arch;
	const char *flavour; /* "open", "proprietary"; "auto": either */
};

/* NULL, or the key in which it is not what is wished for. */
const char *prebuilt_misses(const struct prebuilt *prebuilt,
			    const struct prebuilt_wish *wish);

/*
 * The next of a list's archives, from `*at` on, that is what is wished for; false: there
 * is none. An entry that is none is passed over.
 */
bool prebuilt_next(const struct json *list, const struct prebuilt_wish *wish, size_t *at,
		   struct prebuilt *ret_prebuilt);

/* NULL, or the key that the index and the archive's own manifest say differently. */
const char *prebuilt_differs(const struct prebuilt *one, const struct prebuilt *other);
