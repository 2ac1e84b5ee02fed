/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The head of a .run: the shell stub of NVIDIA's makeself, which says in plain
 * assignments what the archive behind it is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/driver/version.h"

#define RUNFILE_HEAD_MAX (64u << 10) /* the stub is shorter */

struct runfile {
	char version[VERSION_MAX]; /* version_string; "" when it is no version */
	char arch[16];             /* TARGET_ARCH; "" when it is not there */
	bool has_crc;
	uint32_t crc; /* CRCsum: POSIX cksum from the fourth line on */
};

/* `head`: the file's first bytes, binary ones included. False when it is no .run. */
bool runfile_parse(const char *head, size_t size, struct runfile *ret_runfile);
