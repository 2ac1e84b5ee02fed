/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/gridd_conf.h"
#include "model/paths.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "model/license/token.h"

/*
 * A line is active when its first sign is neither '#' nor the line's end and it has a
 * '='. Whether gridd itself accepts blanks round the '=', quotes or a comment behind the
 * value is documented nowhere, and real files have all three: they are read, and never
 * written.
 */

/* A growing text; `failed` once memory is out, and then nothing is added. */
struct builder {
	char *text;
	size_t size;
	size_t capacity;
	bool failed;
};

static void builder_done(struct builder *builder)
{
	free(builder->text);
}

static void append_piece(struct builder *builder, struct span piece)
{
	if (!builder->text || builder->size + piece.len + 1 > builder->capacity) {
		size_t capacity = (builder->size + piece.len + 1) * 2;
		char *grown = builder->failed ? NULL : realloc(builder->text, capacity);

		if (!grown) {
			builder->failed = true;
			return;
		}
		builder->text = grown;
		builder->capacity = capacity;
	}

	if (piece.len > 0)
		memcpy(builder->text + builder->size, piece.at, piece.len);
	builder->size += piece.len;
	builder->text[builder->size] = '\0';
}

struct line {
	struct span body; /* without its end */
	struct span end;  /* "\n", "\r\n" or "" */
};

static bool next_line(struct span *rest, struct line *ret_line)
{
	const char *begin = rest->at;

	if (!span_next_line(rest, &ret_line->body))
		return false;

	/* At the end of the text span_next_line() takes a lone CR for a line's end too.
	 */
	ret_line->end = (struct span){ begin + ret_line->body.len,
				       (size_t)(rest->at - begin) - ret_line->body.len };
	if (ret_line->end.len > 0 && !span_ends(ret_line->end, "\n")) {
		ret_line->body.len += ret_line->end.len;
		ret_line->end.len = 0;
	}
	return true;
}

/* "Key = value # comment" with this key: what stands behind the '='. */
static bool is_active(struct span body, const char *key, struct span *ret_raw)
{
	struct span head;

	(void)span_skip(&body, "\xef\xbb\xbf"); /* a byte order mark on the first line */
	if (!span_split(body, '=', &head, ret_raw))
		return false;
	*ret_raw = span_trim(*ret_raw);
	return span_equals(span_trim(head), key);
}

/* "#Key=value": an example of the key, switched off. */
static bool is_example(struct span body, const char *key)
{
	struct span raw;

	body = span_trim(body);
	if (!span_skip(&body, "#"))
		return false;
	while (span_skip(&body, "#"))
		;
	return is_active(body, key, &raw);
}

/* Splits `"a b" # comment`; the value comes without its quotes. */
static struct span value_of(struct span raw, struct span *ret_comment)
{
	struct span value, tail;
	size_t n = 0;

	*ret_comment = (struct span){ raw.at + raw.len, 0 };
	if (raw.len > 0 && (*raw.at == '"' || *raw.at == '\'')) {
		char quote = *raw.at;
		struct span inner = { raw.at + 1, raw.len - 1 };

		if (span_split(inner, quote, &value, &tail)) {
			tail = span_trim(tail);
			if (span_starts(tail, "#"))
				*ret_comment = tail;
			return value;
		}
	}

	while (n < raw.len && !(raw.at[n] == '#' && (n == 0 || raw.at[n - 1] == ' ' ||
						     raw.at[n - 1] == '\t')))
		n++;
	if (n < raw.len)
		*ret_comment = (struct span){ raw.at + n, raw.len - n };
	return span_trim((struct span){ raw.at, n });
}

static bool same_bytes(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* A wanted value may have quotes; a '#' in it is not taken for a comment. */
static bool holds(struct span raw, struct span wanted)
{
	struct span comment, bare = value_of(wanted, &comment);

	return same_bytes(raw, wanted) || same_bytes(value_of(raw, &(struct span){ 0 }),
						     comment.len > 0 ? wanted : bare);
}

static void add_setting(struct builder *builder, const char *key, struct span value,
			struct span end)
{
	append_piece(builder, span_of(key));
	append_piece(builder, span_of("="));
	append_piece(builder, value);
	append_piece(builder, end);
}

/* A first pass over the lines counts; the second pass writes by what the first found. */
struct survey {
	size_t active;        /* lines of the key */
	const char *example;  /* the body of the last example, or NULL */
	struct span line_end; /* the file's own */
};

static struct survey survey_of(struct span text, const char *key)
{
	struct survey survey = { .line_end = span_of("\n") };
	struct line line;
	struct span raw;

	while (next_line(&text, &line)) {
		if (line.end.len > 0)
			survey.line_end = line.end;
		if (is_active(line.body, key, &raw))
			survey.active++;
		else if (is_example(line.body, key))
			survey.example = line.body.at;
	}

	return survey;
}

/* An own line behind `line`, which itself has been added; a missing end stays missing. */
static void add_behind(struct builder *builder, const struct line *line,
		       const struct survey *survey, const char *key, struct span value)
{
	if (line->end.len == 0)
		append_piece(builder, survey->line_end);
	add_setting(builder, key, value, line->end);
}

/* An active line with another value; a comment behind the old one gets its own line. */
static void add_changed(struct builder *builder, const struct line *line,
			const struct survey *survey, const char *key, struct span value)
{
	struct span raw, comment, body = line->body;

	if (span_skip(&body, "\xef\xbb\xbf"))
		append_piece(builder, span_of("\xef\xbb\xbf"));
	(void)is_active(line->body, key, &raw);
	(void)value_of(raw, &comment);
	if (comment.len > 0) {
		append_piece(builder, comment);
		append_piece(builder, survey->line_end);
	}
	add_setting(builder, key, value, line->end);
}

/*
 * Writes one key: every active line that has another value is changed; without an active
 * line, a new one follows the last commented example, else the last line of the file.
 */
static void set_one(struct builder *builder, struct span text, const char *key,
		    struct span value)
{
	struct survey survey = survey_of(text, key);
	struct line line = { .body = { text.at, 0 } };
	struct span raw;
	bool done = survey.active > 0;

	while (next_line(&text, &line)) {
		if (is_active(line.body, key, &raw) && !holds(raw, value)) {
			add_changed(builder, &line, &survey, key, value);
			continue;
		}

		append_piece(builder, line.body);
		append_piece(builder, line.end);
		if (!done && line.body.at == survey.example) {
			add_behind(builder, &line, &survey, key, value);
			done = true;
		}
	}

	if (done)
		return;
	if (builder->size == 0)
		add_setting(builder, key, value, survey.line_end);
	else if (line.end.len > 0)
		add_setting(builder, key, value, line.end);
	else
		add_behind(builder, &line, &survey, key, value);
}

bool gridd_conf_get(struct span text, const char *key, char *ret_value, size_t size)
{
	struct span raw, comment;
	struct line line;
	bool found = false;

	while (next_line(&text, &line)) {
		if (!is_active(line.body, key, &raw))
			continue;
		(void)span_copy(value_of(raw, &comment), ret_value, size);
		found = true;
	}

	return found;
}

void gridd_conf_token_dir(struct span text, char *ret_dir, size_t size)
{
	char value[256] = "";
	size_t len;

	(void)gridd_conf_get(text, "ClientConfigTokenPath", value, sizeof(value));
	len = strlen(value);
	while (len > 0 && value[len - 1] == '/')
		value[--len] = '\0';
	text_sanitize(value);
	if (value[0] != '/' || len + 1 == sizeof(value) || strchr(value, '?'))
		(void)text_copy(ret_dir, size, PATHS_TOKENS);
	else
		(void)text_copy(ret_dir, size, value);
}

bool gridd_conf_key_valid(const char *key)
{
	static const char digits[] = "0123456789";
	static const char both[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz";

	return key[0] && !strchr(digits, key[0]) && key[strspn(key, both)] == '\0';
}

/* Whether each active line of the key holds the value, and there is one. */
static bool is_set(struct span text, const char *key, struct span value)
{
	struct line line;
	struct span raw;
	bool found = false;

	while (next_line(&text, &line)) {
		if (!is_active(line.body, key, &raw))
			continue;
		if (!holds(raw, value))
			return false;
		found = true;
	}

	return found;
}

static void describe_change(struct span text, const struct gridd_conf_value *value,
			    struct gridd_conf_edit *edit)
{
	char old[128] = "(not set)";
	size_t used = strlen(edit->detail);

	if (gridd_conf_get(text, value->key, old, sizeof(old)) && !old[0])
		(void)text_copy(old, sizeof(old), "(empty)");
	text_sanitize(old);
	(void)text_format(edit->detail + used, sizeof(edit->detail) - used,
			  "%s%s %s -> %s", used ? ", " : "", value->key, old,
			  value->value);
}

/*
 * Refuses a file and values that could not be written as one line for each option: a NUL
 * byte would end the text early, a line break would begin another option.
 */
static int check_input(struct span text, const struct gridd_conf_value *values,
		       size_t count, struct error *err)
{
	if (text.len > 0 && memchr(text.at, '\0', text.len)) {
		(void)error_set(err, ERROR_USAGE, "gridd.conf holds a NUL byte");
		return error_hint(err,
				  "it is damaged: move it away, and a new one is made");
	}

	for (size_t i = 0; i < count; i++) {
		if (!gridd_conf_key_valid(values[i].key))
			return error_set(err, ERROR_USAGE,
					 "gridd.conf has no option named %.60s",
					 values[i].key);
		if (strpbrk(values[i].value, "\r\n"))
			return error_set(err, ERROR_USAGE,
					 "the value of %.60s has two lines",
					 values[i].key);
	}

	return 0;
}

int gridd_conf_set(struct span text, const struct gridd_conf_value *values, size_t count,
		   struct gridd_conf_edit *ret_edit, struct error *err)
{
	cleanup(builder_done) struct builder current = { 0 };
	struct gridd_conf_edit edit = { 0 };

	if (check_input(text, values, count, err) < 0)
		return -1;

	append_piece(&current, text);
	for (size_t i = 0; i < count && !current.failed; i++) {
		cleanup(builder_done) struct builder next = { 0 };
		struct span value = span_trim(span_of(values[i].value));
		struct span now = { current.text, current.size };

		if (is_set(now, values[i].key, value))
			continue;
		describe_change(now, &values[i], &edit);
		set_one(&next, now, values[i].key, value);

		free(current.text);
		current = next;
		next.text = NULL;
	}
	if (current.failed)
		return error_set_errno(err, ENOMEM, "editing gridd.conf");

	edit.text = take_ptr(current.text);
	*ret_edit = edit;
	return 0;
}

const char *gridd_conf_near(const char *key)
{
	static const char *const known[] = {
		"ServerAddress",
		"ServerPort",
		"BackupServerAddress",
		"BackupServerPort",
		"FeatureType",
		"EnableUI",
		"LicenseInterval",
		"LingerInterval",
		"ClientConfigTokenPath",
		"ProxyServerAddress",
		"ProxyServerPort",
		"ProxyUserName",
		"ProxyCredentialsFilePath",
	};
	const char *nearest = NULL;
	unsigned best = 4; /* as many changes are another word */

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		unsigned distance = text_distance(key, known[i]);

		if (distance == 0)
			return NULL;
		if (distance < best) {
			best = distance;
			nearest = known[i];
		}
	}
	return nearest;
}
