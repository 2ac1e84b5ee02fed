/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of the cache while they come: what steps/fetch/fetch.h and
 * steps/fetch/fetch_member.h share.
 */

#include "steps/fetch/fetch.h"

#define FETCH_SIZE_MAX (8ull << 30) /* where nothing says it: bundles are 1 to 2 GiB */
#define FETCH_PARTIAL ".partial"

/* A file of ours to go on with (`keep`) or to begin: the descriptor, or -1. */
must_check int fetch_cache_open(const struct root *root, const char *path, bool keep,
				struct error *err);

/* ERROR_PREREQUISITES where the cache has no room for `need` bytes more. */
must_check int fetch_cache_room(const struct root *root, uint64_t need,
				struct error *err);

/*
 * Hashes `input_fd`, into `output_fd` where that is not -1: size and hash of the result.
 * ERROR_INTEGRITY where it is not `sha256`, unless that is "".
 */
must_check int fetch_cache_hash(int input_fd, int output_fd, const char *sha256,
				const struct channel *channel,
				struct fetch_result *result, struct error *err);

/*
 * Size, hash and bytes of what the worker answered. That they are those which were asked
 * for (`sha256`, unless that is ""; `size`, unless that is 0) is compared here, whatever
 * the worker thinks of it: ERROR_INTEGRITY where they are not.
 */
must_check int fetch_cache_answer(const struct json *answer, const char *sha256,
				  uint64_t size, struct fetch_result *result,
				  struct error *err);
