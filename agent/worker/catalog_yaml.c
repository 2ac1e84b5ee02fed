/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/catalog_yaml.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "base/span.h"

struct reader {
	yaml_parser_t parser;
	size_t nodes;
};

static int refuse_at_mark(const yaml_mark_t *mark, const char *why, struct error *err)
{
	return error_set(err, ERROR_INTEGRITY, "line %zu: %s", mark->line + 1, why);
}

/* The next event, which the caller deletes. */
static int next_event(struct reader *reader, yaml_event_t *ret_event, struct error *err)
{
	const yaml_parser_t *parser = &reader->parser;

	if (yaml_parser_parse(&reader->parser, ret_event))
		return 0;
	if (parser->error == YAML_MEMORY_ERROR)
		return error_set_errno(err, ENOMEM, "reading the catalog");
	return refuse_at_mark(parser->error == YAML_READER_ERROR ? &parser->mark
								 : &parser->problem_mark,
			      parser->problem ? parser->problem : "it is no YAML", err);
}

static bool is_null(const yaml_event_t *event, struct span text)
{
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text.len == 0 || span_equals(text, "~") || span_equals(text, "null"));
}

/* Line breaks and tabs are text; other control bytes are somebody's mischief. */
static bool is_clean(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int read_scalar(const yaml_event_t *event, struct json **ret_json,
		       struct error *err)
{
	struct span text = { (const char *)event->data.scalar.value,
			     event->data.scalar.length };

	if (!is_clean(text))
		return refuse_at_mark(&event->start_mark, "a control character", err);

	*ret_json = is_null(event, text) ? json_build("n") : json_text(text.at, text.len);
	if (!*ret_json)
		return error_set_errno(err, ENOMEM, "reading the catalog");
	return 0;
}

static int read_value(struct reader *reader, const yaml_event_t *event, unsigned depth,
		      struct json **ret_json, struct error *err);

static int read_items(struct reader *reader, unsigned depth, struct json *array,
		      struct error *err)
{
	for (size_t count = 0;; count++) {
		cleanup(yaml_event_delete) yaml_event_t event = { 0 };
		struct json *item = NULL;

		if (next_event(reader, &event, err) < 0)
			return -1;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		if (count == CATALOG_YAML_LIST_MAX)
			return refuse_at_mark(&event.start_mark,
					      "a list longer than any catalog's", err);
		if (read_value(reader, &event, depth + 1, &item, err) < 0)
			return -1;
		if (json_append(array, item) < 0)
			return error_set_errno(err, ENOMEM, "reading the catalog");
	}
}

/* At the top only what a match needs is kept. */
static bool is_kept(const char *key, unsigned depth)
{
	return depth > 0 || strcmp(key, "branch") == 0 || strcmp(key, "driver") == 0;
}

static int read_member(struct reader *reader, const yaml_event_t *key, unsigned depth,
		       struct json *object, struct error *err)
{
	cleanup(yaml_event_delete) yaml_event_t event = { 0 };
	cleanup_json struct json *name = NULL, *value = NULL;
	const char *text;

	if (key->type != YAML_SCALAR_EVENT)
		return refuse_at_mark(&key->start_mark, "a key that is no text", err);
	if (read_scalar(key, &name, err) < 0 || next_event(reader, &event, err) < 0 ||
	    read_value(reader, &event, depth + 1, &value, err) < 0)
		return -1;

	text = json_as_string(name);
	if (is_kept(text, depth) && json_set(object, text, take_ptr(value)) < 0)
		return error_set_errno(err, ENOMEM, "reading the catalog");
	return 0;
}

static int read_members(struct reader *reader, unsigned depth, struct json *object,
			struct error *err)
{
	for (;;) {
		cleanup(yaml_event_delete) yaml_event_t event = { 0 };

		if (next_event(reader, &event, err) < 0)
			return -1;
		if (event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (read_member(reader, &event, depth, object, err) < 0)
			return -1;
	}
}

/*
 * One YAML value as JSON. Nodes and depth are limited, and aliases are refused: a few
 * lines of them would unfold to gigabytes.
 */
static int read_value(struct reader *reader, const yaml_event_t *event, unsigned depth,
		      struct json **ret_json, struct error *err)
{
	cleanup_json struct json *value = NULL;
	int result;

	if (++reader->nodes > CATALOG_YAML_NODES_MAX)
		return refuse_at_mark(&event->start_mark,
				      "more values than any catalog has", err);
	if (depth > CATALOG_YAML_DEPTH_MAX)
		return refuse_at_mark(&event->start_mark,
				      "nested deeper than any catalog", err);
	if (event->type == YAML_ALIAS_EVENT)
		return refuse_at_mark(&event->start_mark, "an alias", err);
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(event, ret_json, err);

	value = json_build(event->type == YAML_SEQUENCE_START_EVENT ? "[]" : "{}");
	if (!value)
		return error_set_errno(err, ENOMEM, "reading the catalog");
	if (event->type == YAML_SEQUENCE_START_EVENT)
		result = read_items(reader, depth, value, err);
	else if (event->type == YAML_MAPPING_START_EVENT)
		result = read_members(reader, depth, value, err);
	else
		result = refuse_at_mark(&event->start_mark, "no value where one belongs",
					err);
	if (result < 0)
		return -1;

	*ret_json = take_ptr(value);
	return 0;
}

static int expect(struct reader *reader, yaml_event_type_t type, const char *why,
		  struct error *err)
{
	cleanup(yaml_event_delete) yaml_event_t event = { 0 };

	if (next_event(reader, &event, err) < 0)
		return -1;
	return event.type == type ? 0 : refuse_at_mark(&event.start_mark, why, err);
}

static int read_stream(struct reader *reader, struct json **ret_json, struct error *err)
{
	cleanup(yaml_event_delete) yaml_event_t event = { 0 };
	cleanup_json struct json *catalog = NULL;

	if (expect(reader, YAML_STREAM_START_EVENT, "it is no YAML", err) < 0 ||
	    expect(reader, YAML_DOCUMENT_START_EVENT, "it is empty", err) < 0 ||
	    next_event(reader, &event, err) < 0)
		return -1;
	if (event.type != YAML_MAPPING_START_EVENT)
		return refuse_at_mark(&event.start_mark, "it is no catalog", err);
	if (read_value(reader, &event, 0, &catalog, err) < 0 ||
	    expect(reader, YAML_DOCUMENT_END_EVENT, "something follows the catalog",
		   err) < 0 ||
	    expect(reader, YAML_STREAM_END_EVENT, "a second document follows", err) < 0)
		return -1;

	if (json_kind(json_get(catalog, "driver")) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INTEGRITY, "it lists no drivers");
	*ret_json = take_ptr(catalog);
	return 0;
}

int catalog_yaml_read(const char *text, size_t size, struct json **ret_json,
		      struct error *err)
{
	struct reader reader = { .nodes = 0 };
	int result;

	if (size > CATALOG_YAML_MAX)
		return error_set(err, ERROR_INTEGRITY, "it is larger than 2 MiB");
	/* libyaml compares each of them with all before: minutes for a megabyte. */
	if (size > 0 && memmem(text, size, "%TAG", 4))
		return error_set(err, ERROR_INTEGRITY, "it has a %%TAG directive");
	if (!yaml_parser_initialize(&reader.parser))
		return error_set_errno(err, ENOMEM, "reading the catalog");

	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
	result = read_stream(&reader, ret_json, err);
	yaml_parser_delete(&reader.parser);
	return result;
}
