/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * gridd.conf, edited as a careful person would: one key's line is changed, everything
 * else keeps its bytes: comments, order, unknown keys, line ends, a missing final
 * newline.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/span.h"

#define GRIDD_CONF_MAX (1u << 20)

struct gridd_conf_value {
	const char *key;   /* by NVIDIA's name, exact case */
	const char *value; /* no line break */
};

struct gridd_conf_edit {
	char *text;       /* the new text; the caller frees it */
	char detail[256]; /* "FeatureType 0 -> 1, ...", cut where it is too long; or "" */
};

/*
 * Sets the keys in `text`. Every active line of such a key gets the value (which of
 * several gridd honours is not documented); else the line goes after the last commented
 * example of it, else to the end. What an active line holds already is kept byte for
 * byte. ERROR_USAGE for a text with NUL bytes, a key of another form, a value of two
 * lines.
 */
must_check int gridd_conf_set(struct span text, const struct gridd_conf_value *values,
			      size_t count, struct gridd_conf_edit *ret_edit,
			      struct error *err);

/* The value of the last active line of `key`, quotes and inline comment removed. */
bool gridd_conf_get(struct span text, const char *key, char *ret_value, size_t size);

/*
 * The folder of nvidia-gridd's token without a "/" at its end: what the last active line
 * of ClientConfigTokenPath names from "/" on, else the daemon's own.
 */
void gridd_conf_token_dir(struct span text, char *ret_dir, size_t size);

/* The option of NVIDIA's that `key` is nearly spelt like; NULL: it is one, or is near
 * none.
 */
const char *gridd_conf_near(const char *key);

/* A key of the form [A-Za-z][A-Za-z0-9]*: what `license.gridd` may name. */
bool gridd_conf_key_valid(const char *key);
