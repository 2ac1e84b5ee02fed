/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/base64.h"

#include <stdint.h>
#include <string.h>

static int value_of(char c, enum base64_form form)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (form == BASE64_URL ? '-' : '+'))
		return 62;
	if (c == (form == BASE64_URL ? '_' : '/'))
		return 63;
	return -1;
}

static bool is_skipped(char c, enum base64_form form)
{
	return form == BASE64_MIME && c != '\0' && strchr(" \t\r\n", c);
}

bool base64_decode(struct span text, enum base64_form form, unsigned char *ret_data,
		   size_t *ret_size, size_t *ret_bad)
{
	size_t used = 0, digits = 0, padding = 0, i;
	uint32_t bits = 0;

	for (i = 0; i < text.len; i++) {
		int value = value_of(text.at[i], form);

		if (is_skipped(text.at[i], form))
			continue;
		if (form == BASE64_MIME && text.at[i] == '=' && digits % 4 >= 2 &&
		    padding < 4 - digits % 4) {
			padding++;
			continue;
		}
		if (value < 0 || padding > 0)
			break;

		bits = bits << 6 | (uint32_t)value;
		if (digits++ % 4 != 0)
			ret_data[used++] =
				(unsigned char)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	if (i < text.len || digits % 4 == 1) {
		*ret_bad = i;
		return false;
	}

	*ret_size = used;
	return true;
}
