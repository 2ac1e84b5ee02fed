/* SPDX-License-Identifier: Apache-2.0 */

/* A signature, the keys in PEM, and the text, in this order and cut at NUL bytes; the
 * signature is written in hexadecimal, for it may hold any byte. */

#include "fuzz/fuzz.h"
#include "worker/certificate.h"
#include "worker/signature.h"

static unsigned digit(char c)
{
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0') % 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct span hex = fuzz_part(&rest), pem = fuzz_part(&rest), text = rest;
	unsigned char signature[1024];
	size_t used = 0, key_size = 0;
	enum signature_verdict verdict;
	struct certificate certificate;
	struct error err = ERROR_INIT;
	char known[DIGEST_TEXT_SIZE] = "";

	for (size_t i = 0; i + 1 < hex.len && used < sizeof(signature); i += 2)
		signature[used++] =
			(unsigned char)(digit(hex.at[i]) << 4 | digit(hex.at[i + 1]));

	verdict = signature_by_any(pem, text, signature, used, known);
	fuzz_require(verdict != SIGNATURE_OK || (used > 0 && known[0]));
	verdict = signature_rs256(pem, text, signature, used, &key_size);
	fuzz_require((verdict == SIGNATURE_UNKNOWN) == (key_size == 0));
	/* A certificate may be DER, which is full of NUL bytes. */
	if (certificate_read(pem, &certificate, &err) == 0 ||
	    certificate_read((struct span){ (const char *)data, size }, &certificate,
			     &err) == 0)
		fuzz_require(certificate.key_id[0] && certificate.kind[0] &&
			     fuzz_is_printable(certificate.name));
	if (certificate_check_key(pem, text, &err) < 0)
		fuzz_require(err.code == ERROR_USAGE && err.hint[0]);
	return 0;
}
