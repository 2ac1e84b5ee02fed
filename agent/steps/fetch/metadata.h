/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Asks the config drive and the metadata service (contract, section 5).
 */

#include "base/channel.h"
#include "base/root.h"
#include "model/settings/settings.h"
#include "steps/fetch/metadata_memory.h"

struct metadata {
	struct json *object;   /* merged keys, or NULL: nothing found */
	struct json *warnings; /* array of strings, never NULL after success */
	char *token;           /* the token's text, or NULL; wiped by metadata_done() */
	size_t token_size;
	char token_source[64];    /* "metadata service, vendor_data2.json" */
	struct json *token_check; /* model/token.h's object, or NULL: not judged yet */
	bool silent;      /* the service says nothing: what it said last is in force */
	bool keeps_token; /* it gave one then: the installed one stays */
	bool asked;       /* it has answered, if only that it has nothing */
	struct metadata_memory said; /* what is to be remembered of that */
	char detail[160];            /* for the report: who answered */
};

#define METADATA_INIT ((struct metadata){ 0 })

/*
 * The drive is read on a mount that nobody else sees. No service and
 * no drive are no error; a service that keeps failing within metadata.timeout is a
 * warning. A service that has answered before, and one of OpenStack's by the firmware's
 * words, is waited for that long; what is silent then leaves in force what it said last,
 * and the drive does not step in for it.
 */
must_check int metadata_read(const struct settings_metadata *settings,
			     const struct root *root, const struct channel *channel,
			     struct metadata *ret_metadata, struct error *err);
void metadata_done(struct metadata *metadata);

/* Keeps what an answering service said, for when it is silent. */
must_check int metadata_remember(const struct root *root, const struct metadata *metadata,
				 struct error *err);
