/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Symbol versions: which kernel symbols modules use, each with the CRC that stands for
 * its types. A kernel with CONFIG_MODVERSIONS loads no module that names another CRC.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

#define SYMVERS_NAME_MAX 512

struct symvers_symbol {
	char *name;
	uint32_t crc;
	bool confirmed; /* the kernel was seen to say the same */
};

struct symvers {
	size_t count, capacity;
	size_t confirmed;
	struct symvers_symbol *symbols; /* sorted by name */
};

#define SYMVERS_INIT ((struct symvers){ .count = 0 })
void symvers_done(struct symvers *symvers);

/*
 * Adds the lines "0xCRC\tNAME" of one module, as modprobe --dump-modversions prints them,
 * and sorts. ERROR_INTEGRITY for a name with two CRCs and for anything that is no such
 * line.
 */
must_check int symvers_read(struct span text, struct symvers *symvers, struct error *err);

/*
 * Compares with what the kernel says: such lines of one of its own modules, or
 * Module.symvers, which has more columns. False, and the symbol's name, where it
 * contradicts; other lines and symbols do not count.
 */
bool symvers_confirm(struct symvers *symvers, struct span text,
		     char ret_name[static SYMVERS_NAME_MAX]);
const struct symvers_symbol *symvers_find(const struct symvers *symvers,
					  struct span name);

/* The symbols as such lines, one order for all: what a kernel's interface is known by. */
char *symvers_print(const struct symvers *symvers);
