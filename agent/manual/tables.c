/* SPDX-License-Identifier: Apache-2.0 */

/* The tables as JSON: see manual/manual.h. */

#include "manual/manual.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "cli/args.h"
#include "cli/command.h"
#include "model/license/metrics.h"
#include "model/settings/settings_table.h"

static struct json *span_json(struct span span)
{
	return json_text(span.at, span.len);
}

/* The options of this mask; 0: those of every command. */
static struct json *options_json(unsigned mask)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < args_count(); i++) {
		const struct args_entry *entry = args_at(i);
		const char letter[] = { args_letter(entry), '\0' };

		if (mask ? !(entry->option & mask) : entry->option != 0)
			continue;
		if (json_append(list, json_build("{s:s, s:s, s:s?, s:s}", "letter",
						 letter, "name", entry->name, "value",
						 entry->value, "help", entry->help)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

static struct json *commands_json(void)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < command_table_size; i++) {
		const struct command *command = &command_table[i];
		struct json *options = command->options ? options_json(command->options)
							: json_build("[]");

		if (json_append(list,
				json_build("{s:s, s:s, s:s, s:b, s:o}", "name",
					   command->name, "operands", command->operands,
					   "summary", command->summary, "root",
					   (command->flags & COMMAND_NEEDS_ROOT) != 0,
					   "options", options)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

static struct json *keys_json(struct span conf)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < settings_table_count(); i++) {
		const struct settings_key *key = settings_table_at(i);

		if (json_append(list,
				json_build("{s:s, s:s, s:i, s:i, s:s?, s:s, s:b, s:o}",
					   "path", key->path, "type", page_type_name(key),
					   "min", key->min, "max", key->max, "choices",
					   key->choices, "initial", key->initial,
					   "metadata", (int)key->metadata, "comment",
					   span_json(page_comment_of(conf, key->path)))) <
		    0)
			return NULL;
	}
	return take_ptr(list);
}

static struct json *statuses_json(void)
{
	cleanup_json struct json *list = json_build("[]");

	for (int i = 0; list && i < ERROR_CODE_COUNT_; i++) {
		enum error_code code = (enum error_code)i;

		if (json_append(list, json_build("{s:i, s:s, s:s}", "status", i, "name",
						 error_code_name(code), "meaning",
						 page_meaning(code))) < 0)
			return NULL;
	}
	return take_ptr(list);
}

/* The heads of a text without samples: a metric that has none there has no line. */
static struct json *metrics_json(void)
{
	const struct metrics metrics = { .host_version = "" };
	cleanup_free char *text = metrics_print(&metrics);
	cleanup_json struct json *list = json_build("[]");
	struct span rest = span_of(text ? text : ""), line, help, name, words;

	while (list && text && span_next_line(&rest, &line)) {
		if (!span_skip(&line, "# HELP ") ||
		    !span_split(line, ' ', &name, &help) ||
		    !span_next_line(&rest, &line) || !span_skip(&line, "# TYPE ") ||
		    !span_split(line, ' ', &name, &words))
			continue;
		if (json_append(list,
				json_build("{s:o, s:o, s:o}", "name", span_json(name),
					   "type", span_json(words), "help",
					   span_json(help))) < 0)
			return NULL;
	}
	return text ? take_ptr(list) : NULL;
}

static struct json *environment_json(void)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < page_variable_count(); i++) {
		const char *words, *names = page_variable(i, &words);

		if (json_append(list, json_build("{s:s, s:s}", "names", names, "meaning",
						 words)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

int tables_write(FILE *out, struct span conf, struct error *err)
{
	cleanup_json struct json *tables = json_build(
		"{s:o, s:o, s:o, s:o, s:o, s:o}", "commands", commands_json(), "options",
		options_json(0), "keys", keys_json(conf), "statuses", statuses_json(),
		"metrics", metrics_json(), "environment", environment_json());
	cleanup_free char *text = tables ? json_print(tables) : NULL;

	if (!text)
		return error_set_errno(err, ENOMEM, "writing the tables");
	(void)fprintf(out, "%s\n", text);
	return 0;
}
