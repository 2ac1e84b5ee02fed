/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/certificate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/macro.h"
#include "base/text.h"

static void bio_cleanup(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void certificate_cleanup(X509 **certificate)
{
	X509_free(*certificate);
}

static BIO *open_text(struct span text)
{
	return text.len > 0 && text.len <= INT_MAX
		       ? BIO_new_mem_buf(text.at, (int)text.len)
		       : NULL;
}

/* Nobody is there to type one; that it was asked for is what counts. */
static int ask_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static X509 *read_certificate(struct span text)
{
	cleanup(bio_cleanup) BIO *bio = open_text(text);
	bool asked = false;
	X509 *found;

	if (!bio)
		return NULL;
	found = PEM_read_bio_X509(bio, NULL, ask_passphrase, &asked);
	if (!found && BIO_reset(bio) == 1)
		found = d2i_X509_bio(bio, NULL);
	ERR_clear_error();
	return found;
}

static bool tell_key_id(X509 *certificate, char ret_id[static CERTIFICATE_ID_SIZE])
{
	const ASN1_STRING *id = X509_get0_subject_key_id(certificate);
	const unsigned char *bytes;
	int size;

	if (!id)
		id = X509_get0_serialNumber(certificate);
	bytes = ASN1_STRING_get0_data(id);
	size = ASN1_STRING_length(id);
	if (size > 1 && bytes[0] == 0) {
		bytes++;
		size--;
	}
	if (size <= 0 || (size_t)size > (CERTIFICATE_ID_SIZE - 1) / 2)
		return false;
	text_hex(bytes, (size_t)size, ret_id);
	return true;
}

/* In an alphabet that a manifest may have, whatever the certificate's is. */
static void tell_name(const X509 *certificate,
		      char ret_name[static CERTIFICATE_NAME_SIZE])
{
	X509_NAME *subject = X509_get_subject_name(certificate);

	if (X509_NAME_get_text_by_NID(subject, NID_commonName, ret_name,
				      CERTIFICATE_NAME_SIZE) <= 0 &&
	    X509_NAME_get_text_by_NID(subject, NID_organizationName, ret_name,
				      CERTIFICATE_NAME_SIZE) <= 0)
		(void)text_copy(ret_name, CERTIFICATE_NAME_SIZE, "no name");
	for (char *at = ret_name; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
}

int certificate_read(struct span text, struct certificate *ret_certificate,
		     struct error *err)
{
	cleanup(certificate_cleanup) X509 *found = read_certificate(text);
	struct certificate certificate = { .kind = "" };
	EVP_PKEY *key = found ? X509_get0_pubkey(found) : NULL;
	const char *kind = key ? EVP_PKEY_get0_type_name(key) : NULL;

	ERR_clear_error();
	if (!found || !kind || !tell_key_id(found, certificate.key_id) ||
	    !text_copy(certificate.kind, sizeof(certificate.kind), kind)) {
		(void)error_set(err, ERROR_USAGE, "it is no X.509 certificate");
		return error_hint(err, "signing.cert is a file with one certificate, PEM "
				       "or DER, that of signing.key");
	}
	tell_name(found, certificate.name);
	*ret_certificate = certificate;
	return 0;
}

static EVP_PKEY *read_key(struct span text, bool *ret_asked)
{
	cleanup(bio_cleanup) BIO *bio = open_text(text);
	EVP_PKEY *key =
		bio ? PEM_read_bio_PrivateKey(bio, NULL, ask_passphrase, ret_asked)
		    : NULL;

	ERR_clear_error();
	return key;
}

static bool is_der(struct span text)
{
	cleanup(bio_cleanup) BIO *bio = open_text(text);
	cleanup(key_cleanup) EVP_PKEY *key = bio ? d2i_PrivateKey_bio(bio, NULL) : NULL;

	ERR_clear_error();
	return key != NULL;
}

static int refuse_key(struct span text, bool asked, struct error *err)
{
	if (asked) {
		(void)error_set(err, ERROR_USAGE,
				"it is protected by a passphrase, which "
				"nobody is there to type");
		return error_hint(err,
				  "openssl pkey -in KEY -out NEW, mode 0600, or sign "
				  "the modules on another host");
	}
	if (is_der(text)) {
		(void)error_set(err, ERROR_USAGE,
				"it is DER, and the kernel's sign-file reads PEM");
		return error_hint(err, "openssl pkey -inform DER -in KEY -out NEW");
	}
	(void)error_set(err, ERROR_USAGE, "it holds no private key in PEM");
	return error_hint(err, "it begins with -----BEGIN PRIVATE KEY-----");
}

int certificate_check_key(struct span text, struct span key, struct error *err)
{
	cleanup(certificate_cleanup) X509 *certificate = read_certificate(text);
	bool asked = false;
	cleanup(key_cleanup) EVP_PKEY *found = read_key(key, &asked);
	bool fits;

	if (!found)
		return refuse_key(key, asked, err);
	fits = certificate && X509_check_private_key(certificate, found) == 1;
	ERR_clear_error();
	if (fits)
		return 0;
	(void)error_set(err, ERROR_USAGE, "it is not the key of signing.cert");
	return error_hint(err,
			  "signing.key and signing.cert are a pair: openssl x509 -in "
			  "CERT -noout -pubkey and openssl pkey -in KEY -pubout say "
			  "the same");
}

char *certificate_pem(struct span text)
{
	cleanup(certificate_cleanup) X509 *found = read_certificate(text);
	cleanup(bio_cleanup) BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL, *pem = NULL;
	long size;

	if (!found || !bio || PEM_write_bio_X509(bio, found) != 1)
		return NULL;
	size = BIO_get_mem_data(bio, &data); /* it has no NUL at its end */
	if (size > 0)
		pem = calloc((size_t)size + 1, 1);
	if (pem)
		memcpy(pem, data, (size_t)size);
	return pem;
}

void certificate_title(const struct certificate *certificate,
		       char ret_title[static CERTIFICATE_TITLE_SIZE])
{
	(void)text_format(ret_title, CERTIFICATE_TITLE_SIZE, "%s: %s", certificate->name,
			  certificate->key_id);
}

static void signature_cleanup(CMS_ContentInfo **signature)
{
	CMS_ContentInfo_free(*signature);
}

/* The kernel refuses attributes in a module's signature (pkcs7_verify()). */
static bool has_attributes(CMS_ContentInfo *signature)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(signature);

	for (int i = 0; i < sk_CMS_SignerInfo_num(infos); i++) {
		if (CMS_signed_get_attr_count(sk_CMS_SignerInfo_value(infos, i)) > 0)
			return true;
	}
	return false;
}

static void stack_cleanup(STACK_OF(X509) * *stack)
{
	sk_X509_free(*stack);
}

bool certificate_verifies(struct span text, struct span content, struct span signature)
{
	cleanup(certificate_cleanup) X509 *certificate = read_certificate(text);
	cleanup(bio_cleanup) BIO *bio = open_text(signature), *data = open_text(content);
	cleanup(signature_cleanup) CMS_ContentInfo *found = bio ? d2i_CMS_bio(bio, NULL)
								: NULL;
	cleanup(stack_cleanup) STACK_OF(X509) *signers = sk_X509_new_null();
	bool good = certificate && data && found && signers && !has_attributes(found) &&
		    sk_X509_push(signers, certificate) == 1 &&
		    CMS_verify(found, signers, NULL, data, NULL,
			       CMS_BINARY | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY) ==
			    1;

	ERR_clear_error();
	return good;
}
