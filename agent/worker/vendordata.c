/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/vendordata.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "worker/base64.h"

#define NAME "vgpu_guest_agent"
#define WARNINGS_MAX 20

int vendordata_begin(struct vendordata *data, struct error *err)
{
	*data = (struct vendordata){
		.object = json_build("{}"),
		.warnings = json_build("[]"),
		.sources = json_build("[]"),
	};
	if (data->object && data->warnings && data->sources)
		return 0;

	vendordata_done(data);
	return error_set_errno(err, ENOMEM, "reading the metadata");
}

void vendordata_done(struct vendordata *data)
{
	json_free(data->object);
	json_free(data->warnings);
	json_free(data->sources);
	if (data->token)
		explicit_bzero(data->token, data->token_size);
	free(data->token);
	*data = VENDORDATA_INIT;
}

int vendordata_warn(struct vendordata *data, const char *source, const char *why)
{
	char message[256];

	if (json_count(data->warnings) >= WARNINGS_MAX)
		return 0;
	(void)text_format(message, sizeof(message), "%s: %s", source, why);
	return json_append(data->warnings, json_words(message));
}

/* These say together which file is meant: a pin must not meet another source's file. */
static bool is_pin_key(const char *key)
{
	return strcmp(key, "url") == 0 || strcmp(key, "sha256") == 0 ||
	       strcmp(key, "version") == 0 || strcmp(key, "repository") == 0;
}

/* An object of the better source, on which the worse one's keys are put. */
struct merging {
	const struct json *better;
	struct json *result;
	const char *name; /* "" at the top */
	bool pinned;      /* it says which driver is meant */
	bool failed;      /* memory is out */
};

static struct json *merge(const struct json *better, const struct json *worse,
			  const char *name);

static bool copy_key(void *context, const char *key, const struct json *value)
{
	struct merging *merging = context;

	if (strcmp(merging->name, "driver") == 0 && is_pin_key(key))
		merging->pinned = true;
	merging->failed = json_set(merging->result, key, json_build("O", value)) < 0;
	return !merging->failed;
}

/*
 * Adds a key of the weaker document where the stronger one does not have it. Of the keys
 * that pin a driver none is added when the stronger document has any: pins of two
 * documents do not mix.
 */
static bool merge_key(void *context, const char *key, const struct json *value)
{
	struct merging *merging = context;
	const struct json *have = json_get(merging->better, key);
	struct json *item;

	if (merging->name[0] == '\0' &&
	    (strcmp(key, "client_token") == 0 || strcmp(key, "client_token_base64") == 0))
		return true;
	if (merging->pinned && is_pin_key(key))
		return true;

	if (!have)
		item = json_build("O", value);
	else if (json_kind(have) == JSON_KIND_OBJECT &&
		 json_kind(value) == JSON_KIND_OBJECT)
		item = merge(have, value, key);
	else
		return true;

	merging->failed = json_set(merging->result, key, item) < 0;
	return !merging->failed;
}

/* A new object, NULL when memory is out. */
static struct json *merge(const struct json *better, const struct json *worse,
			  const char *name)
{
	struct merging merging = {
		.better = better,
		.result = json_build("{}"),
		.name = name,
	};

	if (!merging.result)
		return NULL;
	json_each(better, copy_key, &merging);
	if (!merging.failed)
		json_each(worse, merge_key, &merging);
	if (merging.failed) {
		json_free(merging.result);
		return NULL;
	}
	return merging.result;
}

static int keep_token(struct vendordata *data, const char *source, const void *token,
		      size_t size)
{
	data->token = malloc(size + 1);
	if (!data->token)
		return -1;
	memcpy(data->token, token, size);
	data->token[size] = '\0';
	data->token_size = size;
	(void)text_copy(data->token_source, sizeof(data->token_source), source);
	return 0;
}

static int decode_token(struct vendordata *data, const char *source, const char *text)
{
	struct span span = span_of(text);
	unsigned char *bytes = malloc(BASE64_ROOM(span.len));
	size_t size = 0, bad;
	int result;

	if (!bytes)
		return -1;
	if (base64_decode(span, BASE64_MIME, bytes, &size, &bad))
		result = keep_token(data, source, bytes, size);
	else
		result = vendordata_warn(data, source,
					 "client_token_base64 is not base64");
	explicit_bzero(bytes, BASE64_ROOM(span.len));
	free(bytes);
	return result;
}

/* The first document that has a token gives it. */
static int take_token(struct vendordata *data, const char *source,
		      const struct json *object)
{
	const struct json *plain = json_get(object, "client_token");
	const struct json *encoded = json_get(object, "client_token_base64");

	if (data->token || (!plain && !encoded))
		return 0;
	if (plain && encoded &&
	    vendordata_warn(
		    data, source,
		    "client_token and client_token_base64 are both there; the first "
		    "counts") < 0)
		return -1;
	if (json_kind(plain ? plain : encoded) != JSON_KIND_STRING)
		return vendordata_warn(data, source, "the token is no text");

	if (plain)
		return keep_token(data, source, json_as_string(plain),
				  strlen(json_as_string(plain)));
	return decode_token(data, source, json_as_string(encoded));
}

static int take_object(struct vendordata *data, const char *source,
		       const struct json *object)
{
	struct json *merged = merge(data->object, object, "");

	if (!merged)
		return -1;
	json_free(data->object);
	data->object = merged;

	if (take_token(data, source, object) < 0)
		return -1;
	return json_append(data->sources, json_words(source));
}

/* The search for the agent's object in one document, over the names of services. */
struct search {
	const struct json *object;
	bool odd;   /* the name is there and is no object */
	bool empty; /* below the name of some service there is nothing */
};

static void look_at(struct search *search, const struct json *value)
{
	const struct json *object = json_get(value, NAME);

	if (search->object || !object)
		return;
	/* The service is called like the object: it is there twice. */
	if (json_kind(json_get(object, NAME)) == JSON_KIND_OBJECT)
		object = json_get(object, NAME);
	if (json_kind(object) == JSON_KIND_OBJECT)
		search->object = object;
	else
		search->odd = true;
}

static bool count_key(void *context, const char *key, const struct json *value)
{
	size_t *count = context;

	(void)key;
	(void)value;
	(*count)++;
	return false;
}

static bool is_empty_object(const struct json *value)
{
	size_t count = 0;

	if (json_kind(value) != JSON_KIND_OBJECT)
		return false;
	json_each(value, count_key, &count);
	return count == 0;
}

static bool look_below(void *context, const char *key, const struct json *value)
{
	struct search *search = context;

	look_at(search, value);
	/* "static" is no service: nova puts the operator's file there, or nothing. */
	if (strcmp(key, "static") != 0 && is_empty_object(value))
		search->empty = true;
	return true;
}

static enum vendordata_verdict search_document(const struct json *document, bool dynamic,
					       struct search *search)
{
	look_at(search, document);
	if (dynamic)
		json_each(document, look_below, search);

	if (search->object && !is_empty_object(search->object))
		return VENDORDATA_FOUND;
	if (dynamic && search->empty)
		return VENDORDATA_EMPTY;
	return search->odd ? VENDORDATA_ODD : VENDORDATA_NONE;
}

static int add_document(struct vendordata *data, const char *source, bool dynamic,
			const struct json *document, enum vendordata_verdict *ret_verdict)
{
	struct search search = { .object = NULL };

	if (json_kind(document) != JSON_KIND_OBJECT)
		return vendordata_warn(data, source, "no JSON object");

	*ret_verdict = search_document(document, dynamic, &search);
	if (search.odd && vendordata_warn(data, source, NAME " is no object") < 0)
		return -1;
	if (*ret_verdict == VENDORDATA_FOUND)
		return take_object(data, source, search.object);
	return 0;
}

int vendordata_add(struct vendordata *data, const char *source, bool dynamic,
		   struct span text, enum vendordata_verdict *ret_verdict,
		   struct error *err)
{
	cleanup_json struct json *document = NULL;
	enum vendordata_verdict verdict = VENDORDATA_ODD;
	struct error why = ERROR_INIT;
	int result;

	if (json_parse(text.at, text.len, &document, &why) < 0)
		result = why.errnum == ENOMEM ? -1
					      : vendordata_warn(data, source, why.text);
	else
		result = add_document(data, source, dynamic, document, &verdict);
	if (result < 0)
		return error_set_errno(err, ENOMEM, "reading the metadata");

	*ret_verdict = verdict;
	return 0;
}
