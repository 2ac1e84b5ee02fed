/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Of the client configuration tokens, the one that counts: FILE of the command line, then
 * the metadata's, license.token_file, the installed one (contract, section 4).
 */

#include "core/context.h"
#include "core/lease.h"
#include "model/outcome.h"
#include "steps/fetch/metadata.h"
#include "steps/license/token.h"

struct which_token {
	int fd;             /* -1: there is none */
	size_t count;       /* of the tokens in the installed one's folder */
	bool installed;     /* it is where it belongs, whatever it is called */
	const char *source; /* whose it is, in words; static or of the arguments */
	const struct json
		*judged; /* the worker's check; NULL: none yet. The metadata's. */
};

#define WHICH_TOKEN_INIT ((struct which_token){ .fd = -1, .source = "" })

/* The caller ends with which_token_done(), also on failure. */
must_check int which_token_open(const struct context *ctx,
				const struct metadata *metadata,
				const struct lease *lease, struct which_token *ret_token,
				struct error *err);
void which_token_done(struct which_token *token);

/*
 * ERROR_TOKEN, with the source, for one that must not be installed; what is merely
 * suspect becomes the outcome's warning. Where only time speaks against it, it is judged
 * again when the clock is set, which is waited for up to license.wait. `ret_expires` 0:
 * it does not say when it expires.
 */
must_check int which_token_judge(const struct context *ctx,
				 const struct which_token *token, int64_t *ret_expires,
				 struct outcome *outcome, struct error *err);

/* ERROR_TOKEN: there is none, and where one was looked for. */
int which_token_none(const struct root *root, struct error *err);

/*
 * The command `token check`: the contract's object, of the token that counts without
 * metadata. ERROR_TOKEN for anything suspect, with the object all the same.
 */
must_check int which_token_report(const struct context *ctx, const struct lease *lease,
				  struct json **ret_report, struct error *err);

/* The same answer for a file that is not there. */
must_check int which_token_report_missing(const char *path, struct json **ret_report,
					  struct error *err);
