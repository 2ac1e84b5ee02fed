/* SPDX-License-Identifier: Apache-2.0 */

/* A URL of any bytes: either strictly one host, or none; shown without its secrets. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), shown[64];
	const char *authority;
	struct url url;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';

	if (strpbrk(url_redact(text, shown, sizeof(shown)), "\n\r\x1b"))
		abort();
	if (url_parse(text, &url)) {
		if (!url.host[0] || strpbrk(url.host, "@/\\?# ") || url.port == 0)
			abort();
		(void)url_is_local(&url);
		if (strpbrk(shown, "?#"))
			abort();
		authority = strstr(shown, "://") + 3;
		if (memchr(authority, '@', strcspn(authority, "/")))
			abort();
	}
	free(text);
	return 0;
}
