/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SHA-256 as a sink (OpenSSL's EVP).
 */

#include "base/error.h"
#include "worker/sink.h"

#define DIGEST_TEXT_SIZE 65

struct digest {
	struct sink sink;
	void *context; /* EVP_MD_CTX */
	uint64_t size;
};

/*
 * Makes OpenSSL read its configuration and load its providers: a process that may open
 * no file later calls it first. Where that fails digest_begin() says so.
 */
void digest_load(void);

must_check int digest_begin(struct digest *digest, struct sink *next, struct error *err);
must_check int digest_end(struct digest *digest, char ret_hex[static DIGEST_TEXT_SIZE],
			  struct error *err);
void digest_done(struct digest *digest);

/* Hashes what a descriptor holds from 0 to `size` into a digest that has begun. */
must_check int digest_read_fd(struct digest *digest, int fd, uint64_t size,
			      struct error *err);
