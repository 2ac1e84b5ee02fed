/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client configuration token: read, judged by the worker, put in place.
 */

#include "base/channel.h"
#include "base/root.h"
#include "model/license/token.h"
#include "model/paths.h"

/* Any file outside the root: a descriptor of the caller's. The object is
 * model/license/token.h's.
 */
must_check int token_check(int fd, const struct channel *channel, struct json **ret_check,
			   struct error *err);

/* A descriptor of a sealed memory file that holds `text`; for a token of the metadata. */
must_check int token_memory(const char *text, size_t size, int *ret_fd,
			    struct error *err);

/*
 * Where nvidia-gridd reads its token: the folder that gridd.conf names, else
 * PATHS_TOKENS; and the agent's own file in there.
 */
#define TOKEN_FOLDER_MAX 256
void token_folder(const struct root *root, char ret_folder[static TOKEN_FOLDER_MAX]);
bool token_path(const struct root *root, char *ret_path, size_t size);

/*
 * Installs exactly the descriptor's bytes as token_path() with `mode`, as the only token
 * in its folder; what is no token stays there. Others move to
 * /var/lib/vgpu-guest-agent/backup/tokens/. ERROR_TOKEN for one that is damaged: the
 * installed one stays. `ret_changed` also for a changed mode.
 */
must_check int token_install(int fd, unsigned mode, const struct root *root,
			     bool *ret_changed, struct error *err);

/*
 * Removes the older tokens that token_install() moved to the backup. Call it once the new
 * token has licensed the GPUs: tokens are secrets, and no way back needs the older ones.
 */
must_check int token_forget_older(const struct root *root, struct error *err);

/*
 * The token that is installed: the only one of the folder, or the newest of several. A
 * file that is no token does not count, unless it is called *.tok and there is no other.
 * None there: the descriptor is -1 and the count 0.
 */
must_check int token_open_installed(const struct root *root, int *ret_fd,
				    size_t *ret_count, struct error *err);

/*
 * Whether the installed token was put there by hand ("token install FILE"): until the
 * next boot or a `run` by hand no unit of ours puts the one before back in its place.
 */
must_check int token_set_by_hand(const struct root *root, bool by_hand,
				 struct error *err);
bool token_is_by_hand(const struct root *root);

/* Whether both descriptors hold the same token. */
bool token_same(int fd, int other);

/*
 * Remembers a token that did not license where its predecessor did, so that no later run
 * tries the same token again unasked. A token of the same bytes is then rejected.
 */
must_check int token_reject(const struct root *root, int fd, struct error *err);
bool token_is_rejected(const struct root *root, int fd);

/*
 * The way back, also for a run after one that was killed: the installed token, with which
 * the guest is licensed, is kept before another one takes its place. One that is kept
 * already stays; token_forget_older() ends it. Opened: the caller's descriptor, or -1.
 */
must_check int token_keep_licensed(const struct root *root, struct error *err);
must_check int token_open_licensed(const struct root *root);
