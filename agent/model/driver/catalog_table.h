/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Parts of a catalog in the order of a text of theirs, so that a question to a list of
 * thousands is no walk through it. Texts are compared without regard to case; parts of
 * one text stay in the order that they came in. Everything is borrowed from the document.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

struct catalog_table {
	size_t count;
	struct catalog_table_entry {
		const char *key;
		const struct json *item;
		size_t place;
	} * entries;
};

#define CATALOG_TABLE_INIT ((struct catalog_table){ .count = 0 })

/* Room for `room` entries. -1: memory is out. */
must_check int catalog_table_open(struct catalog_table *table, size_t room);
void catalog_table_add(struct catalog_table *table, const char *key,
		       const struct json *item);
void catalog_table_sort(struct catalog_table *table);
void catalog_table_done(struct catalog_table *table);

/*
 * The first entry of the text, or `count`. Others of the same text follow it:
 * catalog_table_is() says how far.
 */
size_t catalog_table_find(const struct catalog_table *table, const char *key);
bool catalog_table_is(const struct catalog_table *table, size_t index, const char *key);
