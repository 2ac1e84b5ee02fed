/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/signature.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/macro.h"

static void bio_cleanup(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void context_cleanup(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static EVP_PKEY *read_key(struct span pem)
{
	cleanup(bio_cleanup) BIO *bio = NULL;
	char passphrase[] = ""; /* or the library asks on the terminal */

	if (pem.len == 0 || pem.len > INT_MAX)
		return NULL;
	bio = BIO_new_mem_buf(pem.at, (int)pem.len);

	return bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, passphrase) : NULL;
}

enum signature_verdict signature_rs256(struct span pem, struct span text,
				       const unsigned char *signature, size_t size,
				       size_t *ret_key_size)
{
	cleanup(context_cleanup) EVP_MD_CTX *context = EVP_MD_CTX_new();
	cleanup(key_cleanup) EVP_PKEY *key = read_key(pem);
	int result;

	*ret_key_size = 0;
	if (!context || !key || !EVP_PKEY_is_a(key, "RSA") ||
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) != 1) {
		ERR_clear_error();
		return SIGNATURE_UNKNOWN;
	}

	*ret_key_size = (size_t)EVP_PKEY_get_size(key);
	result = EVP_DigestVerify(context, signature, size,
				  (const unsigned char *)text.at, text.len);
	ERR_clear_error();
	return result == 1 ? SIGNATURE_OK : SIGNATURE_BAD;
}
