/* SPDX-License-Identifier: Apache-2.0 */
/* The client configuration token, as far as the stand-in's nvidia-gridd reads it. */
#ifndef STANDIN_TOKEN_H
#define STANDIN_TOKEN_H

#include <stddef.h>
#include <time.h>

enum { TOKEN_OK, TOKEN_MISSING, TOKEN_MALFORMED, TOKEN_BAD_SIGNATURE };

struct token {
	char host[256]; /* of its first node */
	time_t not_before;
	time_t expires;
};

/*
 * Reads the first file by name in folder (hidden ones aside) and checks its
 * signature with the key it carries. Blanks at the ends and a byte order mark are
 * taken as they come: whether the real daemon does so is not known.
 */
int token_read(struct token *ret_token, const char *folder, char *ret_why, size_t size);

#endif
