/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings.h"

#include <errno.h>
#include <libconfig.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"
#include "model/settings/settings_keys.h"
#include "model/settings/settings_scan.h"
#include "model/settings/settings_table.h"

#define PATH_SIZE 128 /* of a key: longer ones are none */
#define LIBCONFIG_LEAST (64u << 10)
#define LIBCONFIG_FACTOR 64 /* of a byte of text, and more */
#define WARNINGS_MAX 32

void settings_init(struct settings *ret_settings)
{
	settings_table_init(ret_settings);
}

/* One source being read. */
struct reading {
	struct settings *settings;
	const char *file;
	enum settings_layer layer;
	struct json *warnings; /* of metadata */
	struct error *err;
};

static int unknown_key(const char *path, struct error *err)
{
	const char *near = settings_table_nearest(path);

	return error_set(err, ERROR_USAGE, "unknown key %s%s%s%s", path,
			 near ? ": did you mean " : "", near ? near : "",
			 near ? "?" : "");
}

/* Keys below license.gridd have no line in the table. */
static const char *gridd_name(const char *path)
{
	static const char prefix[] = SETTINGS_TABLE_GRIDD ".";

	return text_starts(path, prefix) ? path + strlen(prefix) : NULL;
}

static int check_keys(const struct settings_value *value, struct error *err)
{
	for (size_t i = 0; value->kind == SETTINGS_VALUE_LIST && i < value->count; i++) {
		if (!settings_keys_known(span_of(value->items[i])))
			return error_set(err, ERROR_USAGE,
					 "metadata.keys has \"%.40s\", which is no key "
					 "that the metadata can set",
					 value->items[i]);
	}
	return 0;
}

static int put_value(struct settings *settings, const char *path,
		     const struct settings_value *value,
		     const struct settings_origin *origin, struct error *err)
{
	const struct settings_key *key = settings_table_find(path);
	const char *name = gridd_name(path);

	if (name)
		return settings_table_put_gridd(settings, name, value, origin, err);
	if (key && key->type == SETTINGS_KEYS && check_keys(value, err) < 0)
		return -1;
	if (key)
		return settings_table_put(settings, key, value, origin, err);
	return unknown_key(path, err);
}

static struct settings_value value_of_list(const config_setting_t *list)
{
	struct settings_value value = { .kind = SETTINGS_VALUE_LIST };
	int count = config_setting_length(list);

	for (int i = 0; i < count; i++) {
		const char *item = config_setting_get_string_elem(list, i);

		if (!item || i == SETTINGS_ITEMS_MAX)
			return (struct settings_value){ .kind = SETTINGS_VALUE_OTHER };
		value.items[value.count++] = item;
	}

	return value;
}

/*
 * libconfig's way to say that there was no memory: a name or a text that is NULL.
 */
static bool lacks_text(const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	if (!config_setting_name(setting) ||
	    (type == CONFIG_TYPE_STRING && !config_setting_get_string(setting)))
		return true;
	if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
		return false;
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *item =
			config_setting_get_elem(setting, (unsigned)i);

		if (config_setting_type(item) == CONFIG_TYPE_STRING &&
		    !config_setting_get_string(item))
			return true;
	}
	return false;
}

static struct settings_value value_of_setting(const config_setting_t *setting)
{
	struct settings_value value = { .kind = SETTINGS_VALUE_OTHER };

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		value.kind = SETTINGS_VALUE_TEXT;
		value.text = config_setting_get_string(setting);
		return value;
	case CONFIG_TYPE_BOOL:
		value.kind = SETTINGS_VALUE_BOOL;
		value.flag = config_setting_get_bool(setting) != 0;
		return value;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		value.kind = SETTINGS_VALUE_INT;
		value.number = config_setting_get_int64(setting);
		return value;
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return value_of_list(setting);
	default:
		return value;
	}
}

static int read_leaf(const struct reading *reading, const config_setting_t *setting,
		     const char *path)
{
	unsigned line = (unsigned)config_setting_source_line(setting);
	struct settings_value value = value_of_setting(setting);
	struct settings_origin origin = { .layer = reading->layer };
	int result;

	(void)text_format(origin.where, sizeof(origin.where), "%s:%u", reading->file,
			  line);
	if (settings_table_is_section(path))
		result = error_set(reading->err, ERROR_USAGE,
				   "%s must be a group, in braces", path);
	else
		result =
			put_value(reading->settings, path, &value, &origin, reading->err);

	return result < 0 ? error_prefix(reading->err, "%s:%u", reading->file, line) : 0;
}

/* Sections are two deep at most, so this ends whatever the file nests. */
static int read_group(const struct reading *reading, const config_setting_t *group,
		      const char *prefix)
{
	int count = config_setting_length(group);

	for (int i = 0; i < count; i++) {
		const config_setting_t *setting =
			config_setting_get_elem(group, (unsigned)i);
		bool is_group = config_setting_type(setting) == CONFIG_TYPE_GROUP;
		char path[PATH_SIZE];

		if (lacks_text(setting))
			return error_set_errno(reading->err, ENOMEM, "reading %s",
					       reading->file);
		/* A name that is cut here is no key either way. */
		(void)text_format(path, sizeof(path), "%s%s%s", prefix,
				  prefix[0] ? "." : "", config_setting_name(setting));
		if (is_group && settings_table_is_section(path)) {
			if (read_group(reading, setting, path) < 0)
				return -1;
		} else if (read_leaf(reading, setting, path) < 0) {
			return -1;
		}
	}

	return 0;
}

/*
 * libconfig uses what it allocates without a look. Whether there is room for all of it is
 * asked before.
 */
static bool has_memory_for(size_t size)
{
	cleanup_free char *room = malloc(LIBCONFIG_LEAST + LIBCONFIG_FACTOR * size);

	if (room)
		explicit_bzero(room, 1); /* else the compiler leaves all of it out */
	return room != NULL;
}

int settings_read(struct settings *settings, const char *text, size_t size,
		  const char *file, enum settings_layer layer, struct error *err)
{
	cleanup_free struct settings *next = malloc(sizeof(*next));
	cleanup_free char *copy = strndup(text, size);
	cleanup(config_destroy) config_t config = { 0 };
	struct reading reading = { next, file, layer, NULL, err };

	config_init(&config);
	if (!next || !copy || !has_memory_for(size))
		return error_set_errno(err, ENOMEM, "reading %s", file);
	if (settings_scan((struct span){ text, size }, file, err) < 0)
		return -1;
	if (config_read_string(&config, copy) != CONFIG_TRUE)
		return error_set(err, ERROR_USAGE, "%s:%d: %s", file,
				 config_error_line(&config), config_error_text(&config));

	*next = *settings;
	if (read_group(&reading, config_root_setting(&config), "") < 0)
		return -1;

	*settings = *next;
	return 0;
}

int settings_set(struct settings *settings, const char *assignment, struct error *err)
{
	const struct settings_origin origin = { SETTINGS_COMMAND, "--set" };
	struct settings_value value = { .kind = SETTINGS_VALUE_TEXT };
	char path[PATH_SIZE], buffer[SETTINGS_VALUE_BUFFER];
	const struct settings_key *key;
	struct span head, tail;

	if (!span_split(span_of(assignment), '=', &head, &tail) ||
	    !span_copy(head, path, sizeof(path)))
		return error_set(err, ERROR_USAGE, "--set takes PATH=VALUE");

	key = settings_table_find(path);
	value.text = tail.at;
	if (key && !settings_value_read(key, tail.at, buffer, &value))
		value.kind = SETTINGS_VALUE_OTHER;

	if (put_value(settings, path, &value, &origin, err) < 0)
		return error_prefix(err, "--set");
	return 0;
}

static struct settings_value value_of_json(const struct json *json)
{
	struct settings_value value = { .kind = SETTINGS_VALUE_OTHER };

	switch (json_kind(json)) {
	case JSON_KIND_STRING:
		value.kind = SETTINGS_VALUE_TEXT;
		value.text = json_as_string(json);
		break;
	case JSON_KIND_BOOL:
		value.kind = SETTINGS_VALUE_BOOL;
		value.flag = json_as_bool(json);
		break;
	case JSON_KIND_INT:
		value.kind = SETTINGS_VALUE_INT;
		value.number = json_as_int(json);
		break;
	case JSON_KIND_NULL:
	case JSON_KIND_REAL:
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
	default:
		break;
	}

	return value;
}

/* Where in the metadata's object a walk is. */
struct metadata_walk {
	const struct reading *reading;
	const char *prefix;
	int result;
};

static int add_warning(const struct reading *reading, const char *path, const char *why)
{
	cleanup_free char *line = text_print("%s %s", path, why);

	if (!line)
		return error_set_errno(reading->err, ENOMEM, "reading the metadata");
	if (json_count(reading->warnings) >= WARNINGS_MAX)
		return 0;
	text_sanitize(line);
	if (json_append(reading->warnings, json_words(line)) < 0)
		return error_set_errno(reading->err, ENOMEM, "reading the metadata");
	return 0;
}

/* It would name what any user of the guest has put there. */
static int refuse_file_url(const char *path, const struct settings_value *value,
			   struct error *err)
{
	if (value->kind != SETTINGS_VALUE_TEXT ||
	    strncasecmp(value->text, "file:", strlen("file:")) != 0)
		return 0;
	(void)error_set(err, ERROR_INTEGRITY,
			"%s of the metadata is a file:// URL: the cloud cannot name a "
			"file of this guest",
			path);
	return error_hint(err, "root can, with --set %s=file://... or in " PATHS_CONFIG,
			  path);
}

static bool walk_metadata(void *context, const char *name, const struct json *json);

static int read_member(const struct reading *reading, const char *path,
		       const struct json *json)
{
	const struct settings_origin origin = { SETTINGS_METADATA, "metadata" };
	const struct settings_key *key = settings_table_find(path);
	struct settings_value value = value_of_json(json);

	if (settings_table_is_section(path)) {
		struct metadata_walk walk = { reading, path, 0 };

		if (json_kind(json) != JSON_KIND_OBJECT)
			return error_set(reading->err, ERROR_USAGE,
					 "%s must be an object", path);
		json_each(json, walk_metadata, &walk);
		return walk.result;
	}
	if (!key && !gridd_name(path))
		return add_warning(reading, path, "is no key that this version knows");
	if (key && !key->metadata)
		return add_warning(reading, path, "cannot be set by the metadata");
	if (key && key->type == SETTINGS_URL &&
	    refuse_file_url(path, &value, reading->err) < 0)
		return -1;
	if (!settings_keys_allow(reading->settings->metadata.keys, path))
		return add_warning(reading, path,
				   "is not among metadata.keys of root's: passed over");

	return put_value(reading->settings, path, &value, &origin, reading->err);
}

static bool walk_metadata(void *context, const char *name, const struct json *json)
{
	struct metadata_walk *walk = context;
	char path[PATH_SIZE];

	if (text_format(path, sizeof(path), "%s%s%s", walk->prefix,
			walk->prefix[0] ? "." : "", name))
		walk->result = read_member(walk->reading, path, json);
	else
		walk->result =
			add_warning(walk->reading, "a name", "is too long to be a key");

	return walk->result == 0;
}

int settings_read_metadata(struct settings *settings, const struct json *object,
			   struct json *warnings, struct error *err)
{
	cleanup_free struct settings *next = malloc(sizeof(*next));
	struct reading reading = { next, "metadata", SETTINGS_METADATA, warnings, err };
	struct metadata_walk walk = { &reading, "", 0 };

	if (!next)
		return error_set_errno(err, ENOMEM, "reading the metadata");

	*next = *settings;
	json_each(object, walk_metadata, &walk);
	if (walk.result < 0)
		return -1;

	*settings = *next;
	return 0;
}

int settings_check(const struct settings *settings, struct error *err)
{
	const struct settings_driver *driver = &settings->driver;
	const struct settings_http *http = &settings->http;
	const struct settings_signing *signing = &settings->signing;

	if (driver->sha256[0] && !driver->url[0] && !driver->repository[0])
		return error_set(err, ERROR_USAGE,
				 "driver.sha256 pins nothing: neither driver.url nor "
				 "driver.repository is set with it");
	if (http->client_key[0] && !http->client_cert[0])
		return error_set(err, ERROR_USAGE,
				 "http.client_key is set without http.client_cert");
	if ((signing->key[0] == '\0') != (signing->cert[0] == '\0'))
		return error_set(err, ERROR_USAGE,
				 "signing.key and signing.cert need each other");

	return 0;
}

/* `metadata`: whether the cloud may set it; scripts/make-vendor-data asks that. */
static int show_key(struct json *object, const char *path, struct json *value,
		    const char *where, bool metadata)
{
	return json_set(object, path,
			json_build("{s:o, s:s, s:b}", "value", value, "origin", where,
				   "metadata", (int)metadata));
}

struct json *settings_json(const struct settings *settings)
{
	cleanup_json struct json *object = json_build("{}");
	const struct settings_license *license = &settings->license;

	for (size_t i = 0; object && i < settings_table_count(); i++) {
		const struct settings_key *key = settings_table_at(i);

		if (show_key(object, key->path, settings_value_json(settings, key),
			     settings->origins[i].where, key->metadata) < 0)
			return NULL;
	}
	for (size_t i = 0; object && i < license->gridd_count; i++) {
		const struct settings_gridd *gridd = &license->gridd[i];
		char path[PATH_SIZE];

		(void)text_format(path, sizeof(path), SETTINGS_TABLE_GRIDD ".%s",
				  gridd->key);
		if (show_key(object, path, json_words(gridd->value), gridd->origin.where,
			     true) < 0)
			return NULL;
	}

	return take_ptr(object);
}

bool settings_is_callers(const struct settings *settings, const char *path)
{
	const struct settings_origin *origin = settings_table_origin(settings, path);

	return origin && origin->layer == SETTINGS_COMMAND;
}

const char *settings_where(const struct settings *settings, const char *path)
{
	const struct settings_origin *origin = settings_table_origin(settings, path);

	return origin ? origin->where : "";
}

bool settings_is_set(const struct settings *settings, const char *path)
{
	const struct settings_origin *origin = settings_table_origin(settings, path);

	return origin && origin->layer != SETTINGS_BUILTIN;
}
