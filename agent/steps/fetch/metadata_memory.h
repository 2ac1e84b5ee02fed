/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the metadata service said last: a service that is silent is no service that says
 * nothing. Kept in a file of root's alone, the token by its hash.
 */

#include "base/json.h"
#include "base/root.h"

struct metadata_memory {
	bool known;          /* a service has answered before */
	struct json *object; /* what it said of us, NULL: nothing */
	char token[65];      /* SHA-256 of the token that it gave, "": none */
};

#define METADATA_MEMORY_INIT ((struct metadata_memory){ .known = false })

void metadata_memory_done(struct metadata_memory *memory);

/* One that is not there, that we may not read, or that is damaged: nothing is known. */
void metadata_memory_read(const struct root *root, struct metadata_memory *ret_memory);

/* Written only where it says another thing than before. */
must_check int metadata_memory_write(const struct root *root,
				     const struct metadata_memory *memory,
				     struct error *err);
