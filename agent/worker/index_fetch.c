/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/index_fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/repository/index.h"
#include "model/url.h"
#include "worker/base64.h"
#include "worker/digest.h"
#include "worker/signature.h"

#define SIGNATURE_FILE INDEX_FILE ".sig"
#define SIGNATURE_MAX 8192 /* bytes of base64: an RSA key of 16384 bits needs 2732 */
#define KEYS_MAX (1u << 20)

static int get_from_repository(const struct index_place *place, const char *name,
			       size_t limit, struct sink *sink,
			       struct http_answer *ret_answer, struct error *err)
{
	char url[URL_MAX];
	struct http_request request = {
		.url = url, .limit = limit, .optional = true, .denied_is_absent = true
	};

	if (!text_format(url, sizeof(url), "%s%s", place->repository, name))
		return error_set(err, ERROR_USAGE, "the repository's URL is too long");
	return remote_get(place->remote, &request, sink, ret_answer, err);
}

static struct span bytes_of(const struct sink_memory *memory)
{
	return (struct span){ memory->data ? memory->data : "", memory->size };
}

static int way_out(struct error *err)
{
	return error_hint(err, "publish " INDEX_FILE " and, signed with a key of "
			       "driver.index_key, " SIGNATURE_FILE
			       " beside the drivers; or clear driver.index_key");
}

/*
 * Fetches the signature beside the index and verifies it before a byte of the index is
 * parsed. A missing signature is an error where keys are configured.
 */
static int check_signature(const struct index_place *place, struct span index,
			   char ret_key[static DIGEST_TEXT_SIZE], struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	unsigned char signature[BASE64_ROOM(SIGNATURE_MAX)];
	cleanup_free char *pem = NULL;
	struct http_answer answer;
	size_t size, bad, pem_size;

	(void)lseek(place->keys, 0,
		    SEEK_SET); /* where the caller has written it before */
	if (file_read_fd(place->keys, KEYS_MAX, &pem, &pem_size, err) < 0)
		return error_prefix(err, "driver.index_key");
	sink_memory_begin(&memory, SIGNATURE_MAX);
	if (get_from_repository(place, SIGNATURE_FILE, SIGNATURE_MAX, &memory.sink,
				&answer, err) < 0) {
		if (err->errnum != ENOENT)
			return -1;
		(void)error_set(err, ERROR_INTEGRITY, INDEX_FILE " is not signed");
		return way_out(err);
	}
	if (!base64_decode(bytes_of(&memory), BASE64_MIME, signature, &size, &bad)) {
		(void)error_set(err, ERROR_INTEGRITY, SIGNATURE_FILE " is no base64");
		return way_out(err);
	}

	switch (signature_by_any((struct span){ pem, pem_size }, index, signature, size,
				 ret_key)) {
	case SIGNATURE_OK:
		return 0;
	case SIGNATURE_NO_MEMORY:
		return error_set_errno(err, ENOMEM, "verifying " SIGNATURE_FILE);
	case SIGNATURE_UNKNOWN:
		return error_set(err, ERROR_USAGE,
				 "driver.index_key holds no public key of the kinds "
				 "Ed25519 and RSA of 2048 bits and more");
	case SIGNATURE_BAD:
	default:
		(void)error_set(err, ERROR_INTEGRITY,
				SIGNATURE_FILE " is no signature over " INDEX_FILE
					       " by a key of driver.index_key");
		return way_out(err);
	}
}

static void take_warnings(const struct index *index, struct json *warnings)
{
	for (size_t i = 0; i < index->warning_count; i++) {
		char text[sizeof(index->warnings[0]) + sizeof(INDEX_FILE)];

		(void)text_format(text, sizeof(text), INDEX_FILE " %s",
				  index->warnings[i]);
		/* Without memory the next append fails, too. */
		if (json_append(warnings, json_words(text)) < 0)
			return;
	}
}

static int parse(struct span text, struct json *warnings, struct json **ret_json,
		 struct error *err)
{
	cleanup_json struct json *json = NULL;
	cleanup_index struct index *index = NULL;
	cleanup_free char *printed = NULL;

	if (json_parse(text.at, text.len, &json, err) < 0) {
		(void)error_prefix(err, INDEX_FILE);
		return err->errnum == ENOMEM ? -1 : error_recode(err, ERROR_INTEGRITY);
	}
	if (index_from_json(json, &index, err) < 0)
		return -1;

	json_free(take_ptr(json));
	json = index_json(index);
	printed = json_print(json);
	if (!json || !printed)
		return error_set_errno(err, ENOMEM, "reading " INDEX_FILE);
	if (strlen(printed) > INDEX_SIZE_MAX)
		return error_set(err, ERROR_INTEGRITY, INDEX_FILE " is too large");
	take_warnings(index, warnings);
	*ret_json = take_ptr(json);
	return 0;
}

/*
 * Fetches the index, then verifies its signature, then compares its hash with the
 * manifest's, and parses last: no byte of it is interpreted before.
 */
static int read_index(const struct index_place *place, struct json *warnings,
		      struct index_fetched *index, struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(digest_done) struct digest digest = { .context = NULL };
	char actual[DIGEST_TEXT_SIZE];
	struct http_answer answer;

	sink_memory_begin(&memory, INDEX_SIZE_MAX);
	if (digest_begin(&digest, &memory.sink, err) < 0 ||
	    get_from_repository(place, INDEX_FILE, INDEX_SIZE_MAX, &digest.sink, &answer,
				err) < 0 ||
	    digest_end(&digest, actual, err) < 0)
		return -1;
	if (place->keys >= 0 &&
	    check_signature(place, bytes_of(&memory), index->key, err) < 0)
		return -1;
	if (place->sha256[0] && strcmp(place->sha256, actual) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 INDEX_FILE ": its SHA-256 is not the manifest's");
	if (parse(bytes_of(&memory), warnings, &index->json, err) < 0)
		return -1;

	index->verified = answer.verified;
	index->is_signed = place->keys >= 0;
	return 0;
}

int index_fetch(const struct index_place *place, struct json *warnings,
		struct index_fetched *ret_index, struct error *err)
{
	bool keys = place->keys >= 0;
	struct index_fetched index = { .json = NULL };
	struct error why = ERROR_INIT;
	char message[160];

	if (read_index(place, warnings, &index, &why) == 0 ||
	    (!keys && why.errnum == ENOENT)) {
		*ret_index = index;
		return 0;
	}
	if (keys && why.errnum == ENOENT) {
		(void)error_set(err, ERROR_INTEGRITY,
				"the repository has no " INDEX_FILE
				", and driver.index_key asks for a signed one");
		return way_out(err);
	}
	if (keys || why.errnum == ENOMEM) {
		*err = why;
		return -1;
	}

	(void)text_format(message, sizeof(message), INDEX_FILE " is not used: %s",
			  why.text);
	if (json_append(warnings, json_words(message)) < 0)
		return error_set_errno(err, ENOMEM, "reading " INDEX_FILE);
	*ret_index = index;
	return 0;
}
