/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a driver's bytes come here, decided before the first of them does: a bundle of 1 to
 * 2 GB holds one member that is wanted.
 */

#include <stdbool.h>

enum transfer {
	TRANSFER_LOCAL,  /* a file of this system */
	TRANSFER_MEMBER, /* of a bundle only the member, by HTTP ranges */
	TRANSFER_WHOLE,
};

struct transfer_facts {
	bool local;   /* file:// */
	bool bundle;  /* the URL names a .zip */
	bool pinned;  /* driver.sha256 is set */
	bool indexed; /* an index that something vouches for has the member's SHA-256 */
	bool summed;  /* such an index has the bundle's alone */
	bool https;   /* the peer is verified then */
	bool warn;    /* driver.integrity is "warn" */
};

/*
 * Ranges only where what they bring is as well established as the whole would be:
 * - a pin is of the whole bundle and meant against its server: nothing that the server
 *   says stands in for it, its index neither;
 * - else the index's SHA-256 of the member is enough;
 * - else a SHA-256 of the bundle that a signature may cover is checked, on the whole;
 * - else TLS vouches for a part as it does for the whole, and for a manifest beside it no
 *   better; with "warn" CRC-32 guards against damage, which is as much as was asked for.
 */
enum transfer transfer_decide(const struct transfer_facts *facts);

const char *transfer_name(enum transfer transfer); /* the contract's word */
