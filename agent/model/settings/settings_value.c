/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings_value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"
#include "base/text.h"
#include "model/driver/version.h"
#include "model/url.h"

static bool has_word(const char *words, struct span word)
{
	struct span rest = span_of(words), head;

	while (rest.len > 0) {
		(void)span_split(rest, ' ', &head, &rest);
		if (head.len == word.len && memcmp(head.at, word.at, word.len) == 0)
			return true;
	}

	return false;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}

	return false;
}

/* Whatever is told of it, to the worker too, is JSON. */
static bool is_utf8(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t length = text_utf8_length(text, left);

		if (length == 0)
			return false;
		text += length;
		left -= length;
	}
	return true;
}

static bool url_is_good(const char *url, const char *schemes)
{
	const char *rest = strstr(url, "://");
	struct url parts;

	if (!rest || strchr(url, ' ') ||
	    !has_word(schemes, (struct span){ url, (size_t)(rest - url) }))
		return false;

	/* A file is named by its path: there is no host to ask. */
	rest += 3;
	if (text_starts(url, "file:"))
		return rest[0] == '/' && rest[1] != '\0';
	return rest[0] != '\0' && !strchr("/?#@:", rest[0]) &&
	       (!text_starts(url, "http") || url_parse(url, &parts));
}

/* What is wrong with a text for this key, in words; NULL: nothing. "" is "not set". */
static const char *text_fault(const struct settings_key *key, const char *text)
{
	char sha256[PACKAGE_SHA256_SIZE];

	if (has_control(text))
		return "holds a control character";
	if (!is_utf8(text))
		return "holds bytes that are no UTF-8";
	if (strlen(text) >= key->size)
		return "is too long";
	if (text[0] == '\0')
		return key->initial[0] == '\0' ? NULL : "must not be empty";

	switch (key->type) {
	case SETTINGS_FILE_PATH:
		if (text_starts(text, "pkcs11:"))
			return "must be a file; a key in a token signs modules by "
			       "build-modules --sign-command";
		return text[0] == '/' ? NULL : "must be an absolute path";
	case SETTINGS_PROXY:
		if (!strstr(text, "://"))
			return strchr(text, ' ') ? "is no proxy" : NULL;
		return url_is_good(text, key->choices) ? NULL : "is no proxy's URL";
	case SETTINGS_CATALOG:
		if (strcmp(text, "auto") == 0 || strcmp(text, "none") == 0 ||
		    text[0] == '/')
			return NULL;
		return url_is_good(text, key->choices)
			       ? NULL
			       : "must be auto, none, an absolute path or a URL";
	case SETTINGS_URL:
		return url_is_good(text, key->choices) ? NULL : "is no URL of the kind";
	case SETTINGS_SHA256:
		return package_sha256(span_of(text), sha256)
			       ? NULL
			       : "must be 64 hexadecimal digits";
	case SETTINGS_VERSION:
		return version_valid(span_of(text)) ? NULL
						    : "is no version like 535.161.08";
	case SETTINGS_CHOICE:
		return has_word(key->choices, span_of(text)) ? NULL : "is none of";
	case SETTINGS_BOOL:
	case SETTINGS_INT:
	case SETTINGS_MODE:
	case SETTINGS_SOURCES:
	case SETTINGS_KEYS:
	default:
		return NULL;
	}
}

static int put_text(const struct settings_key *key, char *member, const char *text,
		    struct error *err)
{
	const char *fault = text_fault(key, text);

	if (fault && key->type == SETTINGS_CHOICE && text[0])
		return error_set(err, ERROR_USAGE, "%s = \"%.40s\" is none of: %s",
				 key->path, text, key->choices);
	if (fault && key->type == SETTINGS_URL)
		return error_set(err, ERROR_USAGE, "%s %s: %s", key->path, fault,
				 key->choices);
	if (fault)
		return error_set(err, ERROR_USAGE, "%s %s", key->path, fault);

	(void)text_copy(member, key->size, text);
	/* "" is not set. */
	if (key->type == SETTINGS_SHA256 && text[0])
		(void)package_sha256(span_of(text), member);
	return 0;
}

static int put_mode(const struct settings_key *key, int *member, const char *text,
		    struct error *err)
{
	size_t len = strlen(text);
	int mode = 0;

	if (len < 3 || len > 4 || strspn(text, "01234567") != len)
		return error_set(err, ERROR_USAGE, "%s must be octal, like \"0600\"",
				 key->path);
	for (; *text; text++)
		mode = mode * 8 + (*text - '0');

	if (mode > 0777 || (mode & 0022) || !(mode & 0400))
		return error_set(err, ERROR_USAGE,
				 "%s must let the owner read and nobody else write",
				 key->path);
	*member = mode;
	return 0;
}

static int put_sources(struct settings *settings, const struct settings_value *value,
		       struct error *err)
{
	bool drive = false, service = false;

	for (size_t i = 0; i < value->count; i++) {
		if (strcmp(value->items[i], "config-drive") == 0)
			drive = true;
		else if (strcmp(value->items[i], "metadata-service") == 0)
			service = true;
		else
			return error_set(err, ERROR_USAGE,
					 "metadata.sources has \"%.40s\", which is none "
					 "of: config-drive metadata-service",
					 value->items[i]);
	}

	settings->metadata.config_drive = drive;
	settings->metadata.metadata_service = service;
	return 0;
}

/* Kept as one text. Whether the patterns mean anything is the table's to know. */
static int put_keys(char *member, size_t size, const struct settings_value *value,
		    struct error *err)
{
	size_t used = 0;

	member[0] = '\0';
	for (size_t i = 0; i < value->count; i++) {
		const char *item = value->items[i];

		if (!item[0] || strchr(item, ',') || has_control(item) ||
		    !text_format(member + used, size - used, "%s%s", used ? "," : "",
				 item))
			return error_set(err, ERROR_USAGE,
					 "metadata.keys has \"%.40s\", which is no key, "
					 "or the list is too long",
					 item);
		used = strlen(member);
	}
	return 0;
}

static int put_int(const struct settings_key *key, int *member, int64_t number,
		   struct error *err)
{
	if (number < key->min || number > key->max)
		return error_set(err, ERROR_USAGE, "%s = %lld is not within %d to %d",
				 key->path, (long long)number, key->min, key->max);

	*member = (int)number;
	return 0;
}

static enum settings_value_kind kind_of(enum settings_type type)
{
	switch (type) {
	case SETTINGS_BOOL:
		return SETTINGS_VALUE_BOOL;
	case SETTINGS_INT:
		return SETTINGS_VALUE_INT;
	case SETTINGS_SOURCES:
	case SETTINGS_KEYS:
		return SETTINGS_VALUE_LIST;
	case SETTINGS_CHOICE:
	case SETTINGS_FILE_PATH:
	case SETTINGS_URL:
	case SETTINGS_PROXY:
	case SETTINGS_CATALOG:
	case SETTINGS_SHA256:
	case SETTINGS_VERSION:
	case SETTINGS_MODE:
	default:
		return SETTINGS_VALUE_TEXT;
	}
}

int settings_value_put(struct settings *settings, const struct settings_key *key,
		       const struct settings_value *value, struct error *err)
{
	static const char *const wanted[] = {
		[SETTINGS_VALUE_TEXT] = "a text in quotes",
		[SETTINGS_VALUE_BOOL] = "true or false",
		[SETTINGS_VALUE_INT] = "a whole number",
		[SETTINGS_VALUE_LIST] = "a list of texts",
	};
	enum settings_value_kind kind = kind_of(key->type);
	void *member = (char *)settings + key->offset;

	if (value->kind != kind)
		return error_set(err, ERROR_USAGE, "%s must be %s", key->path,
				 wanted[kind]);

	switch (key->type) {
	case SETTINGS_BOOL:
		*(bool *)member = value->flag;
		return 0;
	case SETTINGS_INT:
		return put_int(key, member, value->number, err);
	case SETTINGS_MODE:
		return put_mode(key, member, value->text, err);
	case SETTINGS_SOURCES:
		return put_sources(settings, value, err);
	case SETTINGS_KEYS:
		return put_keys(member, key->size, value, err);
	case SETTINGS_CHOICE:
	case SETTINGS_FILE_PATH:
	case SETTINGS_URL:
	case SETTINGS_PROXY:
	case SETTINGS_CATALOG:
	case SETTINGS_SHA256:
	case SETTINGS_VERSION:
	default:
		return put_text(key, member, value->text, err);
	}
}

static bool read_list(char *buffer, struct settings_value *value)
{
	char *rest = NULL;

	value->count = 0;
	for (char *item = strtok_r(buffer, ",", &rest); item;
	     item = strtok_r(NULL, ",", &rest)) {
		if (value->count == SETTINGS_ITEMS_MAX)
			return false;
		value->items[value->count++] = item;
	}

	return true;
}

static bool read_number(const char *text, int64_t *ret_number)
{
	struct span digits = span_of(text);
	bool negative = span_skip(&digits, "-");
	uint64_t number;

	if (!span_to_u64(digits, &number) || number > INT32_MAX)
		return false;

	*ret_number = negative ? -(int64_t)number : (int64_t)number;
	return true;
}

bool settings_value_read(const struct settings_key *key, const char *text,
			 char buffer[static SETTINGS_VALUE_BUFFER],
			 struct settings_value *ret_value)
{
	struct settings_value value = { .kind = kind_of(key->type), .text = text };
	bool good = true;

	switch (value.kind) {
	case SETTINGS_VALUE_BOOL:
		value.flag = strcasecmp(text, "true") == 0;
		good = value.flag || strcasecmp(text, "false") == 0;
		break;
	case SETTINGS_VALUE_INT:
		good = read_number(text, &value.number);
		break;
	case SETTINGS_VALUE_LIST:
		good = text_copy(buffer, SETTINGS_VALUE_BUFFER, text) &&
		       read_list(buffer, &value);
		break;
	case SETTINGS_VALUE_TEXT:
	case SETTINGS_VALUE_OTHER:
	default:
		break;
	}

	*ret_value = value;
	return good;
}

static struct json *sources_json(const struct settings_metadata *metadata)
{
	if (metadata->config_drive && metadata->metadata_service)
		return json_build("[s, s]", "config-drive", "metadata-service");
	if (metadata->config_drive)
		return json_build("[s]", "config-drive");
	if (metadata->metadata_service)
		return json_build("[s]", "metadata-service");
	return json_build("[]");
}

static struct json *keys_json(const char *list)
{
	cleanup_json struct json *json = json_build("[]");
	struct span rest = span_of(list), item;
	bool more = list[0] != '\0';

	while (json && more) {
		more = span_split(rest, ',', &item, &rest);
		if (json_append(json, json_text(item.at, item.len)) < 0)
			return NULL;
	}
	return take_ptr(json);
}

struct json *settings_value_json(const struct settings *settings,
				 const struct settings_key *key)
{
	const void *member = (const char *)settings + key->offset;
	char text[SETTINGS_URL_MAX];

	switch (key->type) {
	case SETTINGS_BOOL:
		return json_build("b", (int)*(const bool *)member);
	case SETTINGS_INT:
		return json_build("i", *(const int *)member);
	case SETTINGS_MODE:
		(void)text_format(text, sizeof(text), "%04o",
				  (unsigned)*(const int *)member);
		return json_build("s", text);
	case SETTINGS_SOURCES:
		return sources_json(&settings->metadata);
	case SETTINGS_KEYS:
		return keys_json(member);
	case SETTINGS_URL:
	case SETTINGS_PROXY:
	case SETTINGS_CATALOG:
		(void)url_redact(member, text, sizeof(text));
		return json_words(text);
	case SETTINGS_CHOICE:
	case SETTINGS_FILE_PATH:
	case SETTINGS_SHA256:
	case SETTINGS_VERSION:
	default:
		return json_words(member);
	}
}
