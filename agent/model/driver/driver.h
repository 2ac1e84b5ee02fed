/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A guest driver: the one noun for what is matched, fetched, installed, kept as the way
 * back and put back. A file of a repository, which may hold one, is
 * model/driver/package.h's.
 */

#include <stdbool.h>

#include "model/driver/package.h"

struct driver {
	enum package_kind kind;    /* run, deb or rpm; PACKAGE_NONE: not known yet */
	char version[VERSION_MAX]; /* "" for none */
	char sha256[PACKAGE_SHA256_SIZE]; /* of its package; "": not known */
	char path[PACKAGE_NAME_MAX]; /* its package inside the root, where it is kept; ""
				      */
	bool open;                   /* with the open kernel modules */
};

#define DRIVER_NONE ((struct driver){ .kind = PACKAGE_NONE })
