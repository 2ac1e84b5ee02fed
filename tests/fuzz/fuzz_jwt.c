/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "worker/token/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size)
{
	cleanup_json struct json *result = NULL;
	struct error err = ERROR_INIT;

	if (jwt_check((struct span){ text, size }, 1800000000, &result, &err) < 0)
		abort();
	if (json_kind(json_get(result, "problems")) != JSON_KIND_ARRAY)
		abort();
}

/* As a file's bytes, and as the payload of a token that is otherwise in order. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char header[] = "eyJhbGciOiJSUzI1NiJ9.";
	char text[16384];
	int n;

	check((const char *)data, size);

	if (size > 8192)
		return 0;
	strcpy(text, header);
	n = EVP_EncodeBlock((unsigned char *)text + strlen(header), data, (int)size);
	for (char *p = text + strlen(header); *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	while (n > 0 && text[strlen(header) + (size_t)n - 1] == '=')
		n--;
	strcpy(text + strlen(header) + n, ".AAAA");
	check(text, strlen(text));
	return 0;
}
