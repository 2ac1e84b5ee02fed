/* SPDX-License-Identifier: Apache-2.0 */

/* A signature, the keys in PEM, and the text, in this order and cut at NUL bytes; the
 * signature is written in hexadecimal, for it may hold any byte. */

#include "fuzz/fuzz.h"
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
	char name[128] = "";

	for (size_t i = 0; i + 1 < hex.len && used < sizeof(signature); i += 2)
		signature[used++] =
			(unsigned char)(digit(hex.at[i]) << 4 | digit(hex.at[i + 1]));

	verdict = signature_by_any(pem, text, signature, used);
	fuzz_require(verdict != SIGNATURE_OK || used > 0);
	verdict = signature_rs256(pem, text, signature, used, &key_size);
	fuzz_require((verdict == SIGNATURE_UNKNOWN) == (key_size == 0));
	/* A certificate may be DER, which is full of NUL bytes. */
	if (signature_certificate_name(pem, name, sizeof(name)) ||
	    signature_certificate_name((struct span){ (const char *)data, size }, name,
				       sizeof(name)))
		fuzz_require(name[0] && fuzz_is_printable(name));
	return 0;
}
