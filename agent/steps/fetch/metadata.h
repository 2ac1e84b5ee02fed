/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Asks the config drive and the metadata service (contract, section 5).
 */

#include "base/channel.h"
#include "base/root.h"
#include "model/settings/settings.h"

struct metadata {
	struct json *object;   /* merged keys, or NULL: nothing found */
	struct json *warnings; /* array of strings, never NULL after success */
	char *token;           /* the token's text, or NULL; wiped by metadata_done() */
	size_t token_size;
	char token_source[64]; /* "metadata service, vendor_data2.json" */
	struct json *
		token_check; /* model/license/token.h's object, or NULL: not judged yet */
	char detail[160];    /* for the report: who answered */
};

#define METADATA_INIT ((struct metadata){ 0 })

/*
 * The drive is read on a mount that nobody else sees. No service and
 * no drive are no error; a service that keeps failing within metadata.timeout is a
 * warning.
 */
must_check int metadata_read(const struct settings_metadata *settings,
			     const struct root *root, const struct channel *channel,
			     struct metadata *ret_metadata, struct error *err);
void metadata_done(struct metadata *metadata);
