/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The certificate of a key that signs kernel modules, as the kernel tells it from others
 * (OpenSSL's X509).
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#define CERTIFICATE_ID_SIZE 97 /* of at most 48 bytes, in hexadecimal */
#define CERTIFICATE_NAME_SIZE 65

struct certificate {
	char key_id[CERTIFICATE_ID_SIZE];
	char name[CERTIFICATE_NAME_SIZE]; /* for people: a common name, in ASCII */
	char kind[16];                    /* of its key: "RSA", "EC" */
};

/*
 * Reads a certificate, PEM or DER. The key id is the one that /proc/keys shows: the
 * subject key identifier, else the serial number, less one leading zero byte
 * (x509_key_preparse() of the kernel). ERROR_USAGE where it is none.
 */
must_check int certificate_read(struct span text, struct certificate *ret_certificate,
				struct error *err);

/*
 * Whether the kernel's sign-file can sign with this private key so that the certificate
 * is its own. ERROR_USAGE, each in its own words: a passphrase, DER, no private key, the
 * key of another certificate.
 */
must_check int certificate_check_key(struct span text, struct span key,
				     struct error *err);

/* The certificate as PEM, whatever it was; the caller frees it. NULL: it is none. */
char *certificate_pem(struct span text);

/* How a manifest names it: "NAME: KEY ID". */
#define CERTIFICATE_TITLE_SIZE (CERTIFICATE_NAME_SIZE + CERTIFICATE_ID_SIZE + 2)
void certificate_title(const struct certificate *certificate,
		       char ret_title[static CERTIFICATE_TITLE_SIZE]);

/*
 * Whether the detached PKCS#7 `signature` over `content` is of this certificate's key,
 * and of the kind that the kernel takes for a module: without attributes. Dates and
 * issuers are not looked at, as the kernel does not.
 */
bool certificate_verifies(struct span text, struct span content, struct span signature);
