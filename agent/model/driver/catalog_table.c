/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/catalog_table.h"

#include <stdlib.h>
#include <strings.h>

int catalog_table_open(struct catalog_table *table, size_t room)
{
	table->count = 0;
	table->entries = calloc(room + 1, sizeof(*table->entries));
	return table->entries ? 0 : -1;
}

void catalog_table_add(struct catalog_table *table, const char *key,
		       const struct json *item)
{
	table->entries[table->count] =
		(struct catalog_table_entry){ key, item, table->count };
	table->count++;
}

static int compare(const void *one, const void *other)
{
	const struct catalog_table_entry *a = one, *b = other;
	int order = strcasecmp(a->key, b->key);

	return order ? order : a->place < b->place ? -1 : a->place > b->place;
}

void catalog_table_sort(struct catalog_table *table)
{
	if (table->count > 0)
		qsort(table->entries, table->count, sizeof(*table->entries), compare);
}

void catalog_table_done(struct catalog_table *table)
{
	free(table->entries);
	*table = CATALOG_TABLE_INIT;
}

size_t catalog_table_find(const struct catalog_table *table, const char *key)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcasecmp(table->entries[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return catalog_table_is(table, low, key) ? low : table->count;
}

bool catalog_table_is(const struct catalog_table *table, size_t index, const char *key)
{
	return index < table->count && strcasecmp(table->entries[index].key, key) == 0;
}
