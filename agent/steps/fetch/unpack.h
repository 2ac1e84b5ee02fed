/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a fetched file to what can be installed: a bundle's member, and a .run's tree.
 */

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/driver/member.h"
#include "model/driver/package.h"

/* What a file holds, whatever its name says (worker's job "inspect"). */
struct unpack_content {
	enum package_kind kind;
	char version[VERSION_MAX]; /* "" when it does not tell */
	char arch[16];
	struct member member; /* of a bundle: the guest driver chosen */
};

struct unpack_input {
	int fd;           /* the fetched file, readable */
	const char *name; /* as the repository or the user calls it */
	const char *arch; /* of the guest: "x86_64" */
	enum package_kind wanted[MEMBER_WISHES]; /* as in model/driver/member.h */
	const struct root *root;
	const struct channel *channel;
	struct runner *runner;
};

/*
 * For .deb and .rpm the package manager's own tool is asked. ERROR_INTEGRITY naming the
 * members when two fit or none does.
 */
must_check int unpack_inspect(const struct unpack_input *input,
			      struct unpack_content *ret_content, struct error *err);

/* Of a member that was taken out of its bundle on the way: what the bundle says of it. */
void unpack_content_of(const struct member *member, struct unpack_content *ret_content);

/*
 * The member to a file of ours in the cache, named by its SHA-256 and its kind. It is
 * there whole or not at all, and is unpacked anew each time.
 */
must_check int unpack_member(const struct unpack_input *input,
			     const struct unpack_content *content, char *ret_path,
			     size_t size, struct error *err);

/*
 * `sh FILE --extract-only --target DIR` into PATHS_TREE, where a stale tree is removed
 * first: it is there whole or not at all. ERROR_PREREQUISITES, before anything is
 * changed, where there is no room or where programs cannot be executed. The package's
 * own checksums are not asked: the agent has just verified the whole file.
 */
must_check int unpack_run(const char *path, const struct root *root,
			  struct runner *runner, int log_fd, struct error *err);

/* unpack_run() into the folder "tree" of another cache, which is there already. */
must_check int unpack_run_in(const char *cache, const char *path, const struct root *root,
			     struct runner *runner, int log_fd, struct error *err);

/* Removes PATHS_TREE, and what a run that was killed left of one. */
must_check int unpack_discard(const struct root *root, struct error *err);
