/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small good zip archive, byte by byte, for tests that change some of them.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ZIP_HELLO "hello"
#define ZIP_HELLO_CRC 0x3610a686u
#define ZIP_RUN "Guest_Drivers/a-grid.run" /* deflated, in a stored block */
#define ZIP_KEY "Signing_Keys/key.pub"     /* stored */

/* A small good archive, and where its parts are. */
struct zip {
	unsigned char bytes[4096];
	size_t size;
	size_t local[4], central[4], directory, end;
};

void zip_build(struct zip *zip);

/* At the end: a little-endian number, and bytes. */
void zip_put(struct zip *zip, uint64_t value, int bytes);
void zip_put_text(struct zip *zip, const void *text, size_t size);

/* In place, and a gap of zeros. */
void zip_set(struct zip *zip, size_t at, uint64_t value, int bytes);
void zip_gap(struct zip *zip, size_t at, size_t size);

/* One of other members: begins empty, members are added, the directory closes it. */
struct zip_member {
	const char *name;
	const void *data; /* as it stands in the archive */
	size_t size;
	uint16_t method, flags; /* flag 8: sizes and CRC in a descriptor of this size */
	size_t descriptor;      /* 12, 16, 20 or 24 */
	uint32_t crc, unpacked;
};
void zip_add(struct zip *zip, const struct zip_member *member);
void zip_close(struct zip *zip, const struct zip_member *members, size_t count);

/* A file of memory that holds it. */
int zip_write(const struct zip *zip);

/* Unpacks a member by worker/bundle/bundle.h: 0 and its content, or -1 and the error. */
int zip_unpack(const struct zip *zip, const char *name, char ret_text[static 64],
	       struct error *err);
