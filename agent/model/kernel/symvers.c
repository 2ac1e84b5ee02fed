/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/symvers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SYMBOLS_MAX 65536 /* nvidia.ko and its like use some 1500 */
#define LINE_SIZE 16      /* of a printed line besides its name */

void symvers_done(struct symvers *symvers)
{
	for (size_t i = 0; i < symvers->count; i++)
		free(symvers->symbols[i].name);
	free(symvers->symbols);
	*symvers = SYMVERS_INIT;
}

/* "0x1234abcd": a CRC has 32 bits. */
static bool read_crc(struct span text, uint32_t *ret_crc)
{
	uint32_t crc = 0;

	if (!span_skip(&text, "0x") || text.len == 0 || text.len > 8)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = text_hex_value(text.at[i]);

		if (digit < 0)
			return false;
		crc = crc << 4 | (uint32_t)digit;
	}
	*ret_crc = crc;
	return true;
}

static bool read_line(struct span line, uint32_t *ret_crc, struct span *ret_name)
{
	struct span crc, rest, more;

	if (!span_split(line, '\t', &crc, &rest) || !read_crc(crc, ret_crc))
		return false;
	(void)span_split(rest, '\t', ret_name, &more);
	for (size_t i = 0; i < ret_name->len; i++) {
		if (ret_name->at[i] <= ' ' || ret_name->at[i] > '~')
			return false;
	}
	return ret_name->len > 0 && ret_name->len < SYMVERS_NAME_MAX;
}

/* Appends unsorted; sort_and_merge() follows when a module is read. */
static int add_symbol(struct symvers *symvers, struct span name, uint32_t crc,
		      struct error *err)
{
	struct symvers_symbol *symbol;

	if (symvers->count == SYMBOLS_MAX)
		return error_set(err, ERROR_INTEGRITY, "more than %d symbols",
				 SYMBOLS_MAX);
	if (symvers->count == symvers->capacity) {
		size_t capacity = symvers->capacity ? symvers->capacity * 2 : 512;
		void *grown = realloc(symvers->symbols, capacity * sizeof(*symbol));

		if (!grown)
			return error_set_errno(err, ENOMEM, "reading symbol versions");
		symvers->symbols = grown;
		symvers->capacity = capacity;
	}
	symbol = &symvers->symbols[symvers->count];
	*symbol =
		(struct symvers_symbol){ .crc = crc, .name = strndup(name.at, name.len) };
	if (!symbol->name)
		return error_set_errno(err, ENOMEM, "reading symbol versions");
	symvers->count++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct symvers_symbol *one = a, *other = b;

	return strcmp(one->name, other->name);
}

/* Sorts; the same symbol of several modules once. */
static int sort_and_merge(struct symvers *symvers, struct error *err)
{
	size_t kept = 0;

	if (symvers->count == 0)
		return 0;
	qsort(symvers->symbols, symvers->count, sizeof(symvers->symbols[0]), by_name);
	for (size_t i = 1; i < symvers->count; i++) {
		struct symvers_symbol *last = &symvers->symbols[kept];
		struct symvers_symbol *next = &symvers->symbols[i];

		if (strcmp(last->name, next->name) != 0) {
			symvers->symbols[++kept] = *next;
			if (kept != i)
				next->name = NULL;
			continue;
		}
		if (last->crc != next->crc)
			return error_set(err, ERROR_INTEGRITY,
					 "two versions of the symbol %.200s", last->name);
		free(next->name);
		next->name = NULL;
	}
	symvers->count = kept + 1;
	return 0;
}

int symvers_read(struct span text, struct symvers *symvers, struct error *err)
{
	struct span line;

	while (span_next_line(&text, &line)) {
		struct span name;
		uint32_t crc;

		if (!read_line(line, &crc, &name))
			return error_set(err, ERROR_INTEGRITY,
					 "what is no symbol's version");
		if (add_symbol(symvers, name, crc, err) < 0)
			return -1;
	}
	return sort_and_merge(symvers, err);
}

static struct symvers_symbol *find_symbol(const struct symvers *symvers, struct span name)
{
	char key_name[SYMVERS_NAME_MAX];
	struct symvers_symbol key = { .name = key_name };

	if (symvers->count == 0 || !span_copy(name, key_name, sizeof(key_name)))
		return NULL;
	return bsearch(&key, symvers->symbols, symvers->count, sizeof(key), by_name);
}

const struct symvers_symbol *symvers_find(const struct symvers *symvers, struct span name)
{
	return find_symbol(symvers, name);
}

bool symvers_confirm(struct symvers *symvers, struct span text,
		     char ret_name[static SYMVERS_NAME_MAX])
{
	struct span line;

	while (span_next_line(&text, &line)) {
		struct symvers_symbol *symbol;
		struct span name;
		uint32_t crc;

		if (!read_line(line, &crc, &name))
			continue;
		symbol = find_symbol(symvers, name);
		if (!symbol)
			continue;
		if (symbol->crc != crc) {
			(void)text_copy(ret_name, SYMVERS_NAME_MAX, symbol->name);
			return false;
		}
		symvers->confirmed += !symbol->confirmed;
		symbol->confirmed = true;
	}
	return true;
}

char *symvers_print(const struct symvers *symvers)
{
	size_t size = 1, used = 0;
	char *text;

	for (size_t i = 0; i < symvers->count; i++)
		size += strlen(symvers->symbols[i].name) + LINE_SIZE;
	text = malloc(size);
	if (!text)
		return NULL;
	text[0] = '\0';
	for (size_t i = 0; i < symvers->count; i++) {
		(void)text_format(text + used, size - used, "0x%08x\t%s\n",
				  symvers->symbols[i].crc, symvers->symbols[i].name);
		used += strlen(text + used);
	}
	return text;
}
