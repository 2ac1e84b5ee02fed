/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/manifest.h"

#include <string.h>

#include "base/macro.h"

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool component_is_safe(struct span component)
{
	return component.len > 0 && !span_equals(component, ".") &&
	       !span_equals(component, "..");
}

bool manifest_path_is_safe(struct span path)
{
	struct span head, rest = path;

	for (size_t i = 0; i < path.len; i++) {
		if (is_control(path.at[i]) || path.at[i] == '\\')
			return false;
	}

	while (span_split(rest, '/', &head, &rest)) {
		if (!component_is_safe(head))
			return false;
	}
	return component_is_safe(head);
}

/* Cuts at the last comma: a path may hold commas, digest and size do not. */
static bool split_last(struct span *line, struct span *ret_field)
{
	const char *comma = line->len ? memrchr(line->at, ',', line->len) : NULL;

	if (!comma)
		return false;

	ret_field->at = comma + 1;
	ret_field->len = line->len - (size_t)(comma + 1 - line->at);
	*ret_field = span_trim(*ret_field);
	line->len = (size_t)(comma - line->at);
	*line = span_trim(*line);
	return true;
}

/* NULL, or what is wrong with the line. */
static const char *read_entry(struct span line, struct manifest_entry *ret_entry)
{
	struct span size, sha256;

	if (!split_last(&line, &size) || !split_last(&line, &sha256))
		return "is not path,sha256,size";
	if (!manifest_path_is_safe(line))
		return "has an unsafe path";
	if (!span_copy(line, ret_entry->name, sizeof(ret_entry->name)))
		return "has a path that is too long";
	if (!package_sha256(sha256, ret_entry->sha256))
		return "has no SHA-256 of 64 hexadecimal digits";
	if (!span_to_u64(size, &ret_entry->size))
		return "has no decimal size";
	return NULL;
}

/* False when this entry is one too many. */
static bool take_line(struct manifest_reader *reader)
{
	struct span line = span_trim((struct span){ reader->buffer, reader->used });
	struct manifest_entry entry;
	const char *why;

	reader->line++;
	reader->used = 0;
	if (!reader->overlong && (line.len == 0 || line.at[0] == '#'))
		return true;

	if (reader->entries == MANIFEST_ENTRIES_MAX) {
		reader->refused = true;
		return false;
	}
	reader->entries++;

	why = reader->overlong ? "is too long" : read_entry(line, &entry);
	reader->overlong = false;
	reader->each(reader->context, why ? NULL : &entry, reader->line, why);
	return true;
}

void manifest_begin(struct manifest_reader *reader, manifest_each *each, void *context)
{
	*reader = (struct manifest_reader){ .each = each, .context = context };
}

static void buffer_line(struct manifest_reader *reader, const char *data, size_t size)
{
	if (size > sizeof(reader->buffer) - reader->used) {
		reader->overlong = true;
		reader->used = 0;
	}
	if (reader->overlong)
		return;
	memcpy(reader->buffer + reader->used, data, size);
	reader->used += size;
}

bool manifest_feed(struct manifest_reader *reader, const char *data, size_t size)
{
	while (size > 0 && !reader->refused) {
		const char *end = memchr(data, '\n', size);
		size_t n = end ? (size_t)(end - data) : size;

		buffer_line(reader, data, n);
		if (!end)
			break;
		(void)take_line(reader);
		data += n + 1;
		size -= n + 1;
	}

	return !reader->refused;
}

bool manifest_end(struct manifest_reader *reader)
{
	if (!reader->refused && (reader->used > 0 || reader->overlong))
		(void)take_line(reader);
	return !reader->refused;
}
