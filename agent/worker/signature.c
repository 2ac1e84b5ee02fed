/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/signature.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/macro.h"
#include "base/text.h"
#include "worker/digest.h"

#define KEYS_MAX 32
#define RSA_BITS_MIN 2048

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

/* Says of a verdict what OpenSSL has said meanwhile; its words go. */
static enum signature_verdict settle(enum signature_verdict verdict)
{
	for (unsigned long code; (code = ERR_get_error()) != 0;) {
		if (verdict != SIGNATURE_OK &&
		    ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
			verdict = SIGNATURE_NO_MEMORY;
	}
	return verdict;
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

static enum signature_verdict rs256(struct span pem, struct span text,
				    const unsigned char *signature, size_t size,
				    size_t *ret_key_size)
{
	cleanup(context_cleanup) EVP_MD_CTX *context = EVP_MD_CTX_new();
	cleanup(key_cleanup) EVP_PKEY *key = read_key(pem);
	int result;

	*ret_key_size = 0;
	if (!context || OPENSSL_init_crypto(0, NULL) != 1)
		return SIGNATURE_NO_MEMORY;
	if (!key || !EVP_PKEY_is_a(key, "RSA") ||
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) != 1)
		return settle(SIGNATURE_UNKNOWN);

	*ret_key_size = (size_t)EVP_PKEY_get_size(key);
	result = EVP_DigestVerify(context, signature, size,
				  (const unsigned char *)text.at, text.len);
	return settle(result == 1 ? SIGNATURE_OK : SIGNATURE_BAD);
}

/*
 * OpenSSL 3.0 answers to an allocation that failed as to a key or a method that it does
 * not know, often without a word: so only what is not good twice is not good.
 */
enum signature_verdict signature_rs256(struct span pem, struct span text,
				       const unsigned char *signature, size_t size,
				       size_t *ret_key_size)
{
	if (rs256(pem, text, signature, size, ret_key_size) == SIGNATURE_OK)
		return SIGNATURE_OK;
	return rs256(pem, text, signature, size, ret_key_size);
}

/* As the kind of the key wants it; false: a kind that signs no index. */
static bool begin_verify(EVP_MD_CTX *context, EVP_PKEY *key)
{
	EVP_PKEY_CTX *parameters;

	if (EVP_PKEY_is_a(key, "ED25519"))
		return EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1;
	if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "RSA-PSS"))
		return false;
	return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN &&
	       EVP_DigestVerifyInit(context, &parameters, EVP_sha256(), NULL, key) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, EVP_sha256()) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_AUTO) == 1;
}

static enum signature_verdict verify_with_key(EVP_PKEY *key, struct span text,
					      const unsigned char *signature, size_t size)
{
	cleanup(context_cleanup) EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!context || !begin_verify(context, key))
		return SIGNATURE_UNKNOWN;
	return EVP_DigestVerify(context, signature, size, (const unsigned char *)text.at,
				text.len) == 1
		       ? SIGNATURE_OK
		       : SIGNATURE_BAD;
}

/* What tells the key from others, however its PEM is written. */
static bool name_key(const EVP_PKEY *key, char ret_key[static DIGEST_TEXT_SIZE])
{
	unsigned char *der = NULL, hash[EVP_MAX_MD_SIZE];
	int size = i2d_PUBKEY(key, &der);
	unsigned length = 0;
	bool good = size > 0 &&
		    EVP_Digest(der, (size_t)size, hash, &length, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	if (good)
		text_hex(hash, length, ret_key);
	return good;
}

static enum signature_verdict by_any(struct span pem, struct span text,
				     const unsigned char *signature, size_t size,
				     char ret_key[static DIGEST_TEXT_SIZE])
{
	enum signature_verdict verdict = SIGNATURE_UNKNOWN;
	cleanup(bio_cleanup) BIO *bio = NULL;
	char passphrase[] = "";

	if (pem.len == 0 || pem.len > INT_MAX)
		return SIGNATURE_UNKNOWN;
	if (OPENSSL_init_crypto(0, NULL) != 1)
		return SIGNATURE_NO_MEMORY;
	bio = BIO_new_mem_buf(pem.at, (int)pem.len);

	for (size_t i = 0; bio && i < KEYS_MAX && verdict != SIGNATURE_OK; i++) {
		cleanup(key_cleanup)
			EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, passphrase);
		enum signature_verdict said;

		if (!key)
			break;
		said = verify_with_key(key, text, signature, size);
		if (said == SIGNATURE_OK && !name_key(key, ret_key))
			said = SIGNATURE_UNKNOWN;
		if (said != SIGNATURE_UNKNOWN)
			verdict = said;
	}
	return settle(verdict);
}

enum signature_verdict signature_by_any(struct span pem, struct span text,
					const unsigned char *signature, size_t size,
					char ret_key[static DIGEST_TEXT_SIZE])
{
	if (by_any(pem, text, signature, size, ret_key) == SIGNATURE_OK)
		return SIGNATURE_OK;
	return by_any(pem, text, signature, size, ret_key);
}
