/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/intent.h"

#define STATE_SIZE_MAX (1u << 20)

static void read_text(const struct json *object, const char *key, char *buffer,
		      size_t size)
{
	const char *text = json_get_string(object, key);

	if (!text || !text_copy(buffer, size, text))
		buffer[0] = '\0';
}

static void read_driver(const struct json *json, struct driver *driver)
{
	*driver = DRIVER_NONE;
	read_text(json, "version", driver->version, sizeof(driver->version));
	if (!version_valid(span_of(driver->version)))
		driver->version[0] = '\0';
	driver->kind = package_kind_named(json_get_string(json, "kind"));
	read_text(json, "sha256", driver->sha256, sizeof(driver->sha256));
	read_text(json, "path", driver->path, sizeof(driver->path));
	driver->open = json_get_bool(json, "open", false);
}

static struct json *driver_json(const struct driver *driver)
{
	if (!driver->version[0])
		return json_build("n");
	return json_build("{s:s, s:s, s:s, s:s, s:b}", "version", driver->version, "kind",
			  package_kind_name(driver->kind), "sha256", driver->sha256,
			  "path", driver->path, "open", driver->open);
}

/* The place of the key, or `index_count`. */
static size_t find_key(const struct state *state, const char *key)
{
	size_t i = 0;

	while (i < state->index_count && strcmp(state->indexes[i].key, key) != 0)
		i++;
	return i;
}

int64_t state_serial(const struct state *state, const char *key)
{
	size_t i = find_key(state, key);

	return i < state->index_count ? state->indexes[i].serial : 0;
}

bool state_raise_serial(struct state *state, const char *key, int64_t serial)
{
	struct state_index *indexes = state->indexes;
	size_t i = find_key(state, key);

	if (i < state->index_count && indexes[i].serial >= serial)
		return false;
	if (i == STATE_KEYS_MAX) {
		memmove(indexes, indexes + 1, (STATE_KEYS_MAX - 1) * sizeof(*indexes));
		i = --state->index_count;
	}
	if (!text_copy(indexes[i].key, sizeof(indexes[i].key), key))
		return false;
	indexes[i].serial = serial;
	if (i == state->index_count)
		state->index_count++;
	return true;
}

static void read_indexes(const struct json *list, struct state *state)
{
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *item = json_at(list, i);
		const char *key = json_get_string(item, "key");

		if (key)
			(void)state_raise_serial(state, key,
						 json_get_int(item, "serial", 0));
	}
}

static struct json *indexes_json(const struct state *state)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < state->index_count; i++) {
		if (json_append(list,
				json_build("{s:s, s:I}", "key", state->indexes[i].key,
					   "serial", state->indexes[i].serial)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

struct copy {
	struct json *steps;
	bool failed;
};

static bool copy_step(void *context, const char *key, const struct json *value)
{
	struct copy *copy = context;
	const char *outcome = json_get_string(value, "outcome");
	const char *detail = json_get_string(value, "detail");
	const char *time = json_get_string(value, "time");

	if (outcome && detail && time &&
	    json_set(copy->steps, key,
		     json_build("{s:s, s:s, s:f, s:f, s:s}", "outcome", outcome, "detail",
				detail, "began", json_get_real(value, "began", 0),
				"seconds", json_get_real(value, "seconds", 0), "time",
				time)) < 0)
		copy->failed = true;
	return !copy->failed;
}

#define CHECK_SIZE 24
#define SCHEMA 1

static void check_of(const char *text, char check[CHECK_SIZE])
{
	(void)snprintf(check, CHECK_SIZE, "%016" PRIx64, span_hash(span_of(text)));
}

/* Whether the object is whole: its check is that of the rest. Takes the check out. */
static int is_whole(struct json *json, bool *ret_whole, struct error *err)
{
	cleanup_json struct json *said = json_take(json, "check");
	cleanup_free char *rest = NULL;
	char check[CHECK_SIZE];

	*ret_whole = json_kind(json) == JSON_KIND_OBJECT;
	/* A state of before there was a check has none. */
	if (!*ret_whole || !said)
		return 0;
	rest = json_print(json);
	if (!rest)
		return error_set_errno(err, ENOMEM, "reading the state");
	check_of(rest, check);
	*ret_whole = strcmp(json_as_string(said), check) == 0;
	return 0;
}

/* The object in `path`; NULL and `ret_there` where it is damaged. */
static int read_object(const struct root *root, const char *path, bool *ret_there,
		       struct json **ret_json, struct error *err)
{
	cleanup_json struct json *json = NULL;
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	bool whole;
	size_t size;

	*ret_there = false;
	if (file_read(root, path, STATE_SIZE_MAX, &text, &size, &why) < 0) {
		if (why.errnum == ENOENT || why.errnum == ENOTDIR)
			return 0;
		*ret_there = !why.errnum; /* no file, or far too large */
		if (*ret_there)
			return 0;
		*err = why;
		return -1;
	}
	*ret_there = true;
	if (json_parse(text, size, &json, &why) < 0) {
		if (why.errnum != ENOMEM)
			return 0;
		*err = why;
		return -1;
	}
	if (is_whole(json, &whole, err) < 0)
		return -1;
	if (!whole)
		return 0;
	if (json_get_int(json, "schema", SCHEMA) > SCHEMA) {
		(void)error_set(err, ERROR_INTERNAL, "%s is a later agent's", path);
		return error_hint(err, "install that version again: this one would "
				       "lose what it does not know");
	}
	*ret_json = take_ptr(json);
	return 0;
}

static int take_object(struct json *json, struct state *ret_state, struct error *err)
{
	struct copy copy = { .steps = json_build("{}") };

	if (!copy.steps)
		return error_set_errno(err, ENOMEM, "reading the state");
	*ret_state = (struct state){ .steps = copy.steps };
	read_driver(json_get(json, "driver"), &ret_state->driver);
	read_driver(json_get(json, "installing"), &ret_state->installing);
	read_driver(json_get(json, "previous"), &ret_state->previous);
	ret_state->installing_failed = json_get_bool(json, "installing_failed", false);
	ret_state->lost = json_get_bool(json, "lost", false);
	read_indexes(json_get(json, "indexes"), ret_state);
	builds_read(json_get(json, "builds"), &ret_state->builds);
	if (json_kind(json_get(json, "trouble")) == JSON_KIND_OBJECT)
		ret_state->trouble = json_take(json, "trouble");
	json_each(json_get(json, "steps"), copy_step, &copy);
	if (copy.failed) {
		state_done(ret_state);
		return error_set_errno(err, ENOMEM, "reading the state");
	}
	return 0;
}

/* `ret_damaged`: PATHS_STATE_FILE is there and of no use. */
static int load(const struct root *root, struct state *ret_state, bool *ret_damaged,
		struct error *err)
{
	cleanup_json struct json *json = NULL;
	bool there, copied;

	if (read_object(root, PATHS_STATE_FILE, &there, &json, err) < 0)
		return -1;
	*ret_damaged = there && !json;
	if (*ret_damaged && read_object(root, STATE_COPY, &copied, &json, err) < 0)
		return -1;
	if (take_object(json, ret_state, err) < 0)
		return -1;
	ret_state->lost |= *ret_damaged && !json;
	return 0;
}

int state_load(const struct root *root, struct state *ret_state, struct error *err)
{
	bool damaged;

	return load(root, ret_state, &damaged, err);
}

static int put_aside(const struct root *root, struct state *state, struct error *err)
{
	if (root_rename(root, PATHS_STATE_FILE, STATE_BAD, err) < 0 ||
	    state_save(root, state, err) < 0)
		return -1;
	log_line(LOG_LEVEL_WARNING, "warning: %s was damaged: it is kept as %s, %s",
		 PATHS_STATE_FILE, STATE_BAD,
		 state->lost ? "and what it said is lost" : "and its copy counts");
	return 0;
}

/* A run that was cut off between the two has left the copy of before. */
static int renew_copy(const struct root *root, const struct state *state,
		      struct error *err)
{
	bool there, same;

	if (root_exists(root, PATHS_STATE_FILE, &there, err) < 0 ||
	    file_compare(root, PATHS_STATE_FILE, STATE_COPY, &same, err) < 0)
		return -1;
	return there && !same ? state_save(root, state, err) : 0;
}

int state_open(const struct root *root, struct state *ret_state, struct error *err)
{
	struct state state = { 0 };
	struct stat st;
	bool damaged, bad;

	file_discard_new(root, PATHS_STATE_FILE);
	file_discard_new(root, STATE_COPY);
	if (intent_recover(root, err) < 0 || load(root, &state, &damaged, err) < 0)
		return -1;
	if (root_look(root, STATE_BAD, &bad, &st, err) < 0 ||
	    (damaged ? put_aside(root, &state, err) : renew_copy(root, &state, err)) <
		    0) {
		state_done(&state);
		return -1;
	}
	state.lost &= damaged || bad;
	if (state.lost && !damaged)
		log_line(LOG_LEVEL_WARNING,
			 "warning: what was done before is not known: %s was damaged",
			 STATE_BAD);
	*ret_state = state;
	return 0;
}

int state_refuse_lost(const struct state *state, struct error *err)
{
	if (!state->lost)
		return 0;
	(void)error_set(err, ERROR_INTERNAL,
			"what was done here before is not known: %s cannot be read",
			STATE_BAD);
	return error_hint(err,
			  "see in it and in %s what there is, then remove %s: what is "
			  "installed counts as others' from then on",
			  PATHS_BACKUP, STATE_BAD);
}

int state_save(const struct root *root, const struct state *state, struct error *err)
{
	cleanup_json struct json *json = json_build(
		"{s:i, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:O, s:O?}", "schema", SCHEMA,
		"driver", driver_json(&state->driver), "installing",
		driver_json(&state->installing), "previous",
		driver_json(&state->previous), "installing_failed",
		state->installing_failed, "lost", state->lost, "indexes",
		indexes_json(state), "builds", builds_json(&state->builds, NULL), "steps",
		state->steps, "trouble", state->trouble);
	cleanup_free char *rest = json ? json_print(json) : NULL, *text = NULL;
	char check[CHECK_SIZE];

	if (rest) {
		check_of(rest, check);
		if (json_set(json, "check", json_build("s", check)) == 0)
			text = json_print(json);
	}
	if (!text)
		return error_set_errno(err, ENOMEM, "writing the state");
	if (root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    file_write_atomic(root, PATHS_STATE_FILE, text, strlen(text), 0644, err) <
		    0 ||
	    root_mkdir(root, PATHS_BACKUP, 0700, err) < 0)
		return -1;
	return file_write_atomic(root, STATE_COPY, text, strlen(text), 0600, err);
}

void state_done(struct state *state)
{
	json_free(state->steps);
	json_free(state->trouble);
	state->steps = state->trouble = NULL;
}

int state_note(struct state *state, const struct outcome *outcome, struct error *err)
{
	char time[CLOCK_TEXT_SIZE];

	if (outcome->kind != OUTCOME_CHANGED && outcome->kind != OUTCOME_FAILED)
		return 0;
	if (json_set(state->steps, outcome->step,
		     json_build("{s:s, s:o, s:f, s:f, s:s}", "outcome",
				outcome_kind_name(outcome->kind), "detail",
				json_words(outcome->detail), "began", outcome->began,
				"seconds", outcome->seconds, "time",
				clock_text(clock_now(), time, sizeof(time)))) < 0)
		return error_set_errno(err, ENOMEM, "noting the step %s", outcome->step);
	return 0;
}

int state_end(struct state *state, const char *step, const struct error *error,
	      const struct json *warnings, bool *ret_news, struct error *err)
{
	cleanup_json struct json *trouble = NULL;

	if (step || json_count(warnings) > 0) {
		trouble = json_build("{s:s?, s:o, s:o, s:O?}", "step", step, "message",
				     json_words_or_null(step ? error->text : NULL),
				     "hint",
				     json_words_or_null(step ? error->hint : NULL),
				     "warnings", warnings);
		if (!trouble)
			return error_set_errno(err, ENOMEM, "noting how the run ended");
	}

	*ret_news = state->trouble != trouble && !json_same(state->trouble, trouble);
	if (*ret_news) {
		json_free(state->trouble);
		state->trouble = take_ptr(trouble);
	}
	return 0;
}

bool state_failed(const struct state *state, struct state_failure *ret_failure)
{
	const char *step = json_get_string(state->trouble, "step");
	const char *message = json_get_string(state->trouble, "message");

	if (!step || !message)
		return false;
	*ret_failure = (struct state_failure){ step, message,
					       json_get_words(state->trouble, "hint") };
	return true;
}
