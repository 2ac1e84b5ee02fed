/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The members of a bundle that are guest drivers, and the one of them that a guest needs:
 * the same rule wherever the list comes from.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/span.h"
#include "model/driver/package.h"

struct member {
	char name[PACKAGE_NAME_MAX]; /* in the bundle; "": there is none */
	enum package_kind kind;
	char version[VERSION_MAX]; /* "" when the name does not tell */
	char arch[16];
	uint64_t size; /* unpacked; 0: not known */
};

#define MEMBER_WISHES 3

struct member_wish {
	const char *bundle; /* as the repository or the user calls it */
	const char *arch;   /* of the guest: "x86_64" */
	enum package_kind kinds[MEMBER_WISHES]; /* in order of preference; PACKAGE_NONE:
						   no more */
};

/* Whether a package for `arch` ("": does not say) is for the guest, too. */
bool member_fits_arch(const char *arch, const char *guest);

/*
 * The one member of the first wanted kind that there is for this guest. `members`:
 * [{"name":s,"kind":s,"version":s,"arch":s,"size":i}]. ERROR_INTEGRITY naming them when
 * two fit or none does.
 */
must_check int member_choose(const struct json *members, const struct member_wish *wish,
			     struct member *ret_member, struct error *err);

/* {"bundle":s,"arch":s,"kinds":[s,...]}: the wish on its way to the worker. */
struct json *member_wish_json(const struct member_wish *wish);

/* Borrows the texts. */
void member_wish_read(const struct json *json, struct member_wish *ret_wish);

/* Debian and RPM say it with an epoch and a revision: "1:525.105.17-1". "": none. */
void member_version(struct span text, char ret_version[static VERSION_MAX]);

/* Debian's and RPM's words for what the kernel calls x86_64 and aarch64. */
void member_arch(struct span text, char *ret_arch, size_t size);
