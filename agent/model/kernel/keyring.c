/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/keyring.h"

#include <string.h>

/* SERIAL FLAGS USAGE TIMEOUT PERMISSIONS UID GID TYPE, then the description. */
enum field { FIELD_FLAGS = 1, FIELD_TYPE = 7, FIELD_COUNT };

static struct span next_field(struct span *rest)
{
	struct span field, more;

	*rest = span_trim(*rest);
	(void)span_split(*rest, ' ', &field, &more);
	*rest = more;
	return field;
}

/* Instantiated and nothing else: not revoked, dead, invalidated or in a quota. */
static bool is_sound(struct span flags)
{
	if (!span_starts(flags, "I"))
		return false;
	for (size_t i = 1; i < flags.len; i++) {
		if (flags.at[i] != '-')
			return false;
	}
	return true;
}

/* The description of a key of the kernel's; false: the line is of another key. */
static bool describe(struct span line, struct span *ret_description)
{
	struct span fields[FIELD_COUNT];

	for (size_t i = 0; i < FIELD_COUNT; i++)
		fields[i] = next_field(&line);
	*ret_description = line;
	/* The type is "asymmetric", cut at nine characters. */
	return is_sound(fields[FIELD_FLAGS]) && span_starts(fields[FIELD_TYPE], "asymm");
}

/* "NAME: ID: X509.rsa 2194a940 []": the id before the last ": X509.". */
static struct span id_of(struct span description)
{
	static const char mark[] = ": X509.";
	struct span id = { "", 0 };

	for (size_t end = 0; end + strlen(mark) <= description.len; end++) {
		size_t begin = end;

		if (memcmp(description.at + end, mark, strlen(mark)) != 0)
			continue;
		while (begin > 0 && description.at[begin - 1] != ' ')
			begin--;
		id = (struct span){ description.at + begin, end - begin };
	}
	return id;
}

bool keyring_is_shown(struct span keys)
{
	struct span line, description;

	while (span_next_line(&keys, &line)) {
		if (describe(line, &description))
			return true;
	}
	return false;
}

bool keyring_has(struct span keys, const char *key_id)
{
	struct span line, description;

	while (key_id[0] && span_next_line(&keys, &line)) {
		if (describe(line, &description) &&
		    span_equals(id_of(description), key_id))
			return true;
	}
	return false;
}
