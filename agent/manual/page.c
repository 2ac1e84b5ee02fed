/* SPDX-License-Identifier: Apache-2.0 */

/* The man pages: see manual/manual.h. */

#include "manual/manual.h"

#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "model/settings/settings_table.h"

static const char *const meanings[] = {
	[ERROR_NONE] = "done; for status: every GPU that needs a license has one",
	[ERROR_INTERNAL] = "a bug or an unexpected system failure",
	[ERROR_USAGE] = "bad command line or configuration; nothing was started",
	[ERROR_NO_GPU] = "no NVIDIA GPU here",
	[ERROR_NO_MATCH] = "no driver fits, or the one asked for contradicts the host",
	[ERROR_NETWORK] = "could not be fetched",
	[ERROR_INTEGRITY] = "checksum, size, signature or archive wrong, or nothing "
			    "vouches for the file",
	[ERROR_PREREQUISITES] = "headers, compiler, space or tool missing",
	[ERROR_BUILD] = "the kernel modules did not compile",
	[ERROR_INSTALL] = "installation or module load failed, or a foreign driver is in "
			  "the way",
	[ERROR_SECURE_BOOT] = "this kernel takes only signed modules, and these are "
			      "not signed by a key that it trusts",
	[ERROR_TOKEN] = "token missing or unusable",
	[ERROR_UNLICENSED] = "not licensed, or not in time",
	[ERROR_DRIVER] = "driver not loaded, nvidia-smi failed or hung, a GPU is missing "
			 "in it, or validate computed wrongly",
	[ERROR_REBOOT] = "done as far as possible; a reboot completes it",
	[ERROR_BUSY] = "another instance is at work",
	[ERROR_PERMISSION] = "needs root, or a file could not be read or written",
};
_Static_assert(ARRAY_SIZE(meanings) == ERROR_CODE_COUNT_, "every status is explained");

/* What the programs read of their environment. */
static const struct {
	const char *names, *words;
} variables[] = {
	{ "http_proxy, https_proxy, all_proxy, no_proxy",
	  "how the repository is reached, as curl reads them; http.proxy stands above "
	  "them" },
	{ "SSL_CERT_FILE, SSL_CERT_DIR",
	  "where the authorities are that are trusted; http.ca_file stands above them" },
	{ "NO_COLOR", "no colour, also on a terminal" },
	{ "TERM", "dumb: no colour and no live bar" },
	{ "INVOCATION_ID",
	  "of systemd: the start of a service that its timer does not repeat where "
	  "waiting cannot help" },
	{ "TMPDIR", "where build-modules works that is not called by root" },
	{ "SOURCE_DATE_EPOCH", "the time of an index, in seconds since 1970" },
	{ "JOURNAL_STREAM, NOTIFY_SOCKET, WATCHDOG_USEC",
	  "set by systemd: standard error is the journal; the monitor tells that it lives" },
};

size_t page_variable_count(void)
{
	return ARRAY_SIZE(variables);
}

const char *page_variable(size_t index, const char **ret_words)
{
	*ret_words = variables[index].words;
	return variables[index].names;
}

const char *page_meaning(enum error_code code)
{
	return meanings[code];
}

/* Text as troff takes it: a line of it may begin with anything. */
static void put_escaped(FILE *out, struct span text)
{
	if (text.len && (*text.at == '.' || *text.at == '\''))
		(void)fputs("\\&", out);
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '\\')
			(void)fputs("\\e", out);
		else if (text.at[i] == '-')
			(void)fputs("\\-", out);
		else
			(void)fputc(text.at[i], out);
	}
}

static void put_options(FILE *out, unsigned mask)
{
	for (size_t i = 0; i < args_count(); i++) {
		const struct args_entry *entry = args_at(i);

		if (mask ? !(entry->option & mask) : entry->option != 0)
			continue;
		(void)fputs(".TP\n", out);
		if (args_letter(entry))
			(void)fprintf(out, "\\fB\\-%c\\fR, ", args_letter(entry));
		(void)fputs("\\fB\\-\\-", out);
		put_escaped(out, span_of(entry->name));
		(void)fputs("\\fR", out);
		if (entry->value)
			(void)fprintf(out, " \\fI%s\\fR", entry->value);
		(void)fputc('\n', out);
		put_escaped(out, span_of(entry->help));
		(void)fputs(".\n", out);
	}
}

static void put_commands(FILE *out)
{
	for (size_t i = 0; i < command_table_size; i++) {
		const struct command *command = &command_table[i];

		(void)fputs(".SS \"", out);
		put_escaped(out, span_of(command->name));
		(void)fprintf(out, "%s%s%s\"\n", command->options ? " [OPTIONS]" : "",
			      command->operands[0] ? " " : "", command->operands);
		put_escaped(out, span_of(command->summary));
		(void)fprintf(out, ".%s\n",
			      command->flags & COMMAND_NEEDS_ROOT ? " Needs root." : "");
		if (command->options)
			put_options(out, command->options);
	}
}

static void put_statuses(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		(void)fprintf(out, ".TP\n\\fB%zu\\fR %s\n%s.\n", i,
			      error_code_name((enum error_code)i), meanings[i]);
}

/* The comment behind a key of agent.conf, without the mark of what metadata may set. */
struct span page_comment_of(struct span conf, const char *path)
{
	const char *dot = strchr(path, '.');
	struct span section = { path, (size_t)(dot - path) }, line, word, rest;
	bool inside = false;

	while (span_next_line(&conf, &line)) {
		(void)span_split(span_trim(line), ' ', &word, &rest);
		if (word.len == section.len + 1 && word.at[section.len] == ':' &&
		    memcmp(word.at, section.at, section.len) == 0)
			inside = true;
		else if (span_starts(line, "}"))
			inside = false;
		else if (inside && span_equals(word, dot + 1) &&
			 span_split(rest, '#', &word, &rest)) {
			rest = span_trim(rest);
			if (span_skip(&rest, "M  "))
				rest = span_trim(rest);
			return rest;
		}
	}
	return span_of("");
}

const char *page_type_name(const struct settings_key *key)
{
	switch (key->type) {
	case SETTINGS_BOOL:
		return "true or false";
	case SETTINGS_INT:
		return "a whole number";
	case SETTINGS_CHOICE:
		return "one word";
	case SETTINGS_FILE_PATH:
		return "an absolute path";
	case SETTINGS_URL:
	case SETTINGS_PROXY:
		return "a URL";
	case SETTINGS_CATALOG:
		return "auto, none, a path or a URL";
	case SETTINGS_SHA256:
		return "64 hexadecimal digits";
	case SETTINGS_VERSION:
		return "a version";
	case SETTINGS_MODE:
		return "an octal mode, as text";
	case SETTINGS_SOURCES:
	case SETTINGS_KEYS:
		return "a list";
	default:
		return "";
	}
}

static void put_key(FILE *out, const struct settings_key *key, struct span conf)
{
	struct span comment = page_comment_of(conf, key->path);
	bool text = key->type != SETTINGS_INT && key->type != SETTINGS_BOOL &&
		    key->type != SETTINGS_SOURCES && key->type != SETTINGS_KEYS;
	const char *quote = text ? "\"" : ""; /* as in the file */

	(void)fputs(".TP\n\\fB", out);
	put_escaped(out, span_of(key->path));
	(void)fprintf(out, "\\fR (%s", page_type_name(key));
	if (key->type == SETTINGS_INT)
		(void)fprintf(out, ", %d to %d", key->min, key->max);
	else if (key->choices)
		(void)fprintf(out, ": %s", key->choices);
	(void)fprintf(out, "; default: %s%s%s%s)\n", quote, key->initial, quote,
		      key->metadata ? "; also from the metadata" : "");
	if (comment.len) {
		put_escaped(out, comment);
		(void)fputc('\n', out);
	}
}

static void put_keys(FILE *out, struct span conf)
{
	for (size_t i = 0; i < settings_table_count(); i++)
		put_key(out, settings_table_at(i), conf);
}

static void put_variables(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		(void)fprintf(out, ".TP\n.B %s\n", variables[i].names);
		put_escaped(out, span_of(variables[i].words));
		(void)fputs(".\n", out);
	}
}

int page_write(FILE *out, struct span template, struct span conf, struct error *err)
{
	struct span line;

	while (span_next_line(&template, &line)) {
		if (span_equals(line, "@COMMANDS@"))
			put_commands(out);
		else if (span_equals(line, "@OPTIONS@"))
			put_options(out, 0);
		else if (span_equals(line, "@STATUSES@"))
			put_statuses(out);
		else if (span_equals(line, "@KEYS@"))
			put_keys(out, conf);
		else if (span_equals(line, "@ENVIRONMENT@"))
			put_variables(out);
		else if (span_starts(line, "@"))
			return error_set(err, ERROR_USAGE, "no list is called %.*s",
					 (int)line.len, line.at);
		else
			(void)fprintf(out, "%.*s\n", (int)line.len, line.at);
	}
	return 0;
}
