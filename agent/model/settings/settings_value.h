/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One value of the configuration on its way from a file, a command line or the metadata
 * into the member of struct settings that its key has.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/settings/settings.h"

enum settings_type {
	SETTINGS_BOOL,
	SETTINGS_INT,    /* of min to max */
	SETTINGS_CHOICE, /* a word of `choices` */
	SETTINGS_FILE_PATH,
	SETTINGS_URL,     /* a scheme of `choices` */
	SETTINGS_PROXY,   /* the same, or host:port */
	SETTINGS_CATALOG, /* auto, none, a path or a URL */
	SETTINGS_SHA256,
	SETTINGS_VERSION,
	SETTINGS_MODE,    /* octal text, kept as a number */
	SETTINGS_SOURCES, /* metadata.sources: two switches */
};

struct settings_key {
	const char *path;
	enum settings_type type;
	size_t offset; /* in struct settings */
	size_t size;   /* of the member */
	const char *initial;
	const char *choices; /* words with blanks between */
	int min, max;
	bool metadata; /* M in the contract */
	bool picks; /* url, sha256, version, repository: taken together from one layer */
};

#define SETTINGS_ITEMS_MAX 8

/*
 * A value as a source gave it, before its key has judged it. Its texts are borrowed from
 * the source.
 */
struct settings_value {
	enum settings_value_kind {
		SETTINGS_VALUE_OTHER, /* what no key takes: a group, a real number */
		SETTINGS_VALUE_TEXT,
		SETTINGS_VALUE_BOOL,
		SETTINGS_VALUE_INT,
		SETTINGS_VALUE_LIST, /* of texts */
	} kind;
	const char *text;
	bool flag;
	int64_t number;
	size_t count;
	const char *items[SETTINGS_ITEMS_MAX];
};

#define SETTINGS_VALUE_BUFFER 256

/*
 * Text from a command line as the key's type. False: it is none. `buffer` holds the
 * pieces of a list.
 */
bool settings_value_read(const struct settings_key *key, const char *text,
			 char buffer[static SETTINGS_VALUE_BUFFER],
			 struct settings_value *ret_value);

/*
 * Checks the value and stores it. ERROR_USAGE naming the key and what it takes; a URL,
 * which may hold a password, is not quoted.
 */
must_check int settings_value_put(struct settings *settings,
				  const struct settings_key *key,
				  const struct settings_value *value, struct error *err);

/* The value in force, as JSON; NULL: no memory. */
struct json *settings_value_json(const struct settings *settings,
				 const struct settings_key *key);
