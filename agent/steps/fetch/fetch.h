/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Brings the chosen file into the cache, named by its SHA-256, verified. Of a bundle on a
 * server it is the member that comes, unpacked on its way, whole or not at all.
 */

#include <stdint.h>

#include "base/channel.h"
#include "base/root.h"
#include "model/driver/member.h"
#include "model/driver/package.h"
#include "model/driver/transfer.h"
#include "model/repository/index.h"
#include "model/settings/settings.h"
#include "model/transport.h"

enum fetch_integrity {
	FETCH_NONE,
	FETCH_SHA256_PIN,
	FETCH_SIGNATURE,
	FETCH_INDEX_TLS,
	FETCH_MANIFEST_TLS,
	FETCH_TLS,
	FETCH_LOCAL_FILE,
};

struct fetch_input {
	const char *url;               /* of the file itself; http(s):// or file:// */
	const struct package *package; /* name, kind, size and sha256 as far as known */
	bool pinned;                   /* the sha256 comes from driver.sha256 */
	bool index_signed;             /* size and sha256 come from a signed index, */
	bool index_verified;           /* or from one over https with a verified peer */
	bool manifest_verified; /* the manifest came over https with a verified peer */
	const struct index_member *entry; /* what the index says of the bundle's member:
					     only where something vouches for the index;
					     NULL: nothing */
	struct member_wish wish;          /* of a bundle */
	const struct root
		*root; /* where a file:// lies: the caller's files are outside */
	const struct settings *settings;
};

struct fetch_result {
	char path[PACKAGE_NAME_MAX]; /* in the cache, inside the root; "" for a local
					bundle */
	struct member member;        /* the bundle's member that the file is; name "":
					the file is what the URL names */
	char why[192];               /* what was tried first in vain; or "" */
	int fd;                      /* open for reading, what was hashed */
	uint64_t size;
	char sha256[PACKAGE_SHA256_SIZE];
	enum fetch_integrity integrity;
	uint64_t bytes_transferred; /* 0: it was in the cache */
};

#define FETCH_RESULT_INIT ((struct fetch_result){ .fd = -1 })

/* What will vouch for the file, before a byte is fetched: also for `plan`. */
enum fetch_integrity fetch_foresee(const struct fetch_input *input);
const char *fetch_integrity_name(enum fetch_integrity integrity);

/* The way the bytes will take, the same. */
enum transfer fetch_transfer(const struct fetch_input *input);

/*
 * ERROR_INTEGRITY, with the three ways out as the hint, when nothing vouches for the file
 * and driver.integrity is "require": before the download.
 */
must_check int fetch_check(const struct fetch_input *input, struct error *err);

/* A file:// URL; and what follows the hash in the file's name: "run", "zip", "tar.gz". */
bool fetch_is_local(const struct fetch_input *input);
const char *fetch_suffix(const struct fetch_input *input);

/* What vouches for bytes that came: `https` over https alone, with a verified peer. */
enum fetch_integrity fetch_vouch(const struct fetch_input *input, bool https);

/* fetch_check() of what vouches in the end. */
must_check int fetch_judge(const struct fetch_input *input,
			   enum fetch_integrity integrity, struct error *err);

/*
 * `root` has the cache. A local bundle is only hashed: it is unpacked where it lies.
 * A cached file is hashed again before it is trusted. A partial file is named by the
 * expected SHA-256, resumed, and discarded when it is bad: the member's where the index
 * has one; else a member begins anew in each process. A bundle that cannot be read in one
 * pass lies in the cache whole. ERROR_PREREQUISITES before the download when the disk
 * has no room.
 */
must_check int fetch_file(const struct fetch_input *input,
			  const struct transport *transport, const struct root *root,
			  const struct channel *channel, struct fetch_result *ret_result,
			  struct error *err);
void fetch_result_done(struct fetch_result *result);

/* Drops every cached file but `keep` (a path, or NULL). */
must_check int fetch_prune(const struct root *root, const char *keep, struct error *err);
