/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client configuration token: a JWS in compact form (RFC 7515) whose payload carries
 * its own public key. That key proves that the text is whole, not who issued it.
 * No one outside NVIDIA has published a real one: what is not plainly damage is a
 * warning.
 */

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/span.h"

#define JWT_SIZE_MAX (64u << 10)

/*
 * The contract's object of `token check` for a file's bytes at the time `now` (seconds
 * since 1970). Messages say where, never what. -1 only when memory is out.
 */
must_check int jwt_check(struct span file, int64_t now, struct json **ret_check,
			 struct error *err);

/* The same object for a token that could not be read as text: missing, too_large. */
must_check int jwt_refuse(const char *code, const char *message, uint64_t size,
			  struct json **ret_check, struct error *err);
