/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What came of compiling drivers here, as the state keeps it: so that no later run begins
 * what cannot end.
 */

#include "base/json.h"
#include "model/driver/known.h"

#define BUILDS_MAX 16

struct builds {
	size_t count;
	struct known_build list[BUILDS_MAX]; /* the oldest first */
};

/* Keeps `build`, instead of what was known of the same file on the same kernel. */
void builds_note(struct builds *builds, const struct known_build *build);

/* Whether anything is known of this kernel. */
bool builds_has(const struct builds *builds, const char *kernel);

/* Forgets what another compiler than `compiler` made for this kernel. */
void builds_forget(struct builds *builds, const char *kernel, const char *compiler);

/* How many builds of this run have failed. */
size_t builds_failed_now(const struct builds *builds);

/* What is damaged in `list` is left out. */
void builds_read(const struct json *list, struct builds *ret_builds);

/* All of them, or those that failed for this kernel. NULL: no memory. */
struct json *builds_json(const struct builds *builds, const char *failed_for);
