/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signatures over foreign bytes (OpenSSL's EVP).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "worker/digest.h"

enum signature_verdict {
	SIGNATURE_OK,
	SIGNATURE_BAD,
	SIGNATURE_UNKNOWN,   /* no key that fits the signature's algorithm */
	SIGNATURE_NO_MEMORY, /* nothing is known of it */
};

/*
 * RSASSA-PKCS1-v1_5 with SHA-256 (RS256 of RFC 7518) over `text` by the public key in
 * `pem`. `ret_key_size`: bytes that a signature of this key has, 0 with
 * SIGNATURE_UNKNOWN.
 */
enum signature_verdict signature_rs256(struct span pem, struct span text,
				       const unsigned char *signature, size_t size,
				       size_t *ret_key_size);

/*
 * Whether the signature over `text` is of one of the PEM public keys in `pem`: Ed25519
 * (RFC 8032, pure), or RSASSA-PSS with SHA-256 and MGF1 of the same by a key of 2048 bits
 * or more. SIGNATURE_UNKNOWN: no such key in there. `ret_key` with SIGNATURE_OK: the
 * SHA-256 of the key, by which a guest knows it again.
 */
enum signature_verdict signature_by_any(struct span pem, struct span text,
					const unsigned char *signature, size_t size,
					char ret_key[static DIGEST_TEXT_SIZE]);
