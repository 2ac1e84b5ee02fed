/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the worker says of a client configuration token. The token's text itself never
 * enters these values.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "base/span.h"

#define TOKEN_SIZE_MAX (64u << 10)

/*
 * By its first bytes: a JSON object in base64url, then a dot; a byte order mark or blanks
 * in front of it, or damage behind it, do not make it another thing. Also where it was
 * glued behind something: that is a token that was spoilt.
 */
#define TOKEN_HEAD_SIZE 512
bool token_looks_like(struct span head);

/*
 * `check` is the contract's object of `token check`, made by the worker's job "token".
 * -1 with ERROR_TOKEN, the first error-severity problem and its place; 0 in spite of
 * warnings, which are joined in `ret_warning`.
 */
must_check int token_accept(const struct json *check, char *ret_warning, size_t size,
			    struct error *err);

/* Whether `token check` ends with 11: any problem but bom and whitespace. */
bool token_is_suspect(const struct json *check);

/*
 * Whether each server of the token is a bare name or address, as nvidia-gridd wants it;
 * else `ret_server` is the first that is none: "https://name/", "name:443", "[::1]".
 */
bool token_server_form(const struct json *check, char *ret_server, size_t size);

/* Adds {"code":"several",...} where the folder held more than one token. */
must_check int token_add_several(struct json *check, size_t count);
