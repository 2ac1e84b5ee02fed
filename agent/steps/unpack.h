/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a fetched file to what can be installed: a bundle's member, and a .run's tree.
 */

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/package.h"

/* What a file holds, whatever its name says (worker's job "inspect"). */
struct unpack_content {
	enum package_kind kind;
	char version[VERSION_MAX]; /* "" when it does not tell */
	char arch[16];
	char member[PACKAGE_NAME_MAX]; /* of a bundle: the guest driver chosen */
	enum package_kind member_kind;
	uint64_t member_size;
};

/*
 * `wanted`: kinds in order of preference. For .deb and .rpm the package manager's
 * own tool is asked. ERROR_INTEGRITY naming the members when two fit or none does.
 */
must_check int unpack_inspect(int fd, const char *name, const char *arch,
			      const enum package_kind wanted[static 3],
			      const struct channel *channel, struct runner *runner,
			      const struct root *root, struct unpack_content *ret_content,
			      struct error *err);

/* The member to a file of ours in the cache, named by its SHA-256. */
must_check int unpack_member(int fd, const struct unpack_content *content,
			     const struct root *root, const struct channel *channel,
			     char *ret_path, size_t size, struct error *err);

/*
 * `sh FILE --extract-only --target DIR` into a new folder; a stale one is removed first.
 * Checks room and that the folder's file system can execute, before. `ret_dir` lies in
 * UNPACK_DIR.
 */
#define UNPACK_DIR "/var/cache/vgpu-guest-agent/tree"
must_check int unpack_run(const char *path, const struct root *root,
			  struct runner *runner, int log_fd, struct error *err);
