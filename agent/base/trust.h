/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files whose content is believed: configuration, authorities, keys, credentials, tokens.
 * Whoever can write one decides for root; so one judgement of owner and mode for all.
 */

#include "base/root.h"

enum trust {
	TRUST_PUBLIC, /* anybody may read it */
	TRUST_SECRET, /* its owner alone may */
};

/*
 * Opens a trusted file for reading. ERROR_USAGE, with a hint that mends it, where it is
 * no regular file, belongs to another user than root or our own, can be written by
 * others, or holds a secret that others can read.
 */
must_check int trust_open(const struct root *root, const char *path, enum trust trust,
			  int *ret_fd, struct error *err);
