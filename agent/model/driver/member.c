/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/member.h"

#include <string.h>

#include "base/text.h"

#define MEMBERS_MAX 4096

void member_version(struct span text, char ret_version[static VERSION_MAX])
{
	const char *colon = memchr(text.at, ':', text.len);
	size_t length = 0;

	if (colon) {
		text.len -= (size_t)(colon + 1 - text.at);
		text.at = colon + 1;
	}
	while (length < text.len && (text.at[length] == '.' ||
				     (text.at[length] >= '0' && text.at[length] <= '9')))
		length++;
	text.len = length;
	ret_version[0] = '\0';
	if (version_valid(text))
		(void)span_copy(text, ret_version, VERSION_MAX);
}

void member_arch(struct span text, char *ret_arch, size_t size)
{
	if (span_equals(text, "amd64"))
		text = span_of("x86_64");
	else if (span_equals(text, "arm64"))
		text = span_of("aarch64");
	(void)span_copy(text, ret_arch, size);
}

bool member_fits_arch(const char *arch, const char *guest)
{
	return !arch[0] || strcmp(arch, guest) == 0;
}

/* "a, b and others" of the members that make the choice hard. */
static void name_members(const struct json *members, enum package_kind kind, char *text,
			 size_t size)
{
	size_t named = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_count(members) && i < MEMBERS_MAX; i++) {
		const struct json *member = json_at(members, i);
		size_t used = strlen(text);

		if (kind != PACKAGE_NONE &&
		    package_kind_named(json_get_string(member, "kind")) != kind)
			continue;
		if (++named > 3) {
			(void)text_format(text + used, size - used, ", ...");
			break;
		}
		(void)text_format(text + used, size - used, "%s%.100s", used ? ", " : "",
				  json_get_words(member, "name"));
	}
	text_sanitize(text);
}

static int take_member(const struct json *json, struct member *ret_member,
		       struct error *err)
{
	const char *name = json_get_words(json, "name");
	int64_t size = json_get_int(json, "size", 0);
	struct member member = {
		.kind = package_kind_named(json_get_string(json, "kind")),
		.size = size > 0 ? (uint64_t)size : 0,
	};

	if (!text_copy(member.name, sizeof(member.name), name) || size < 0)
		return error_set(err, ERROR_INTEGRITY,
				 "a member's name is too long: %.100s", name);
	member_version(span_of(json_get_words(json, "version")), member.version);
	member_arch(span_of(json_get_words(json, "arch")), member.arch,
		    sizeof(member.arch));
	*ret_member = member;
	return 0;
}

/* How many of this kind are for the guest; the last one is `ret_found`. */
static size_t find_member(const struct json *members, enum package_kind kind,
			  const char *guest, const struct json **ret_found)
{
	size_t count = 0;

	for (size_t i = 0; i < json_count(members) && i < MEMBERS_MAX; i++) {
		const struct json *member = json_at(members, i);
		char arch[16];

		member_arch(span_of(json_get_words(member, "arch")), arch, sizeof(arch));
		if (package_kind_named(json_get_string(member, "kind")) != kind ||
		    !member_fits_arch(arch, guest))
			continue;
		*ret_found = member;
		count++;
	}
	return count;
}

int member_choose(const struct json *members, const struct member_wish *wish,
		  struct member *ret_member, struct error *err)
{
	char names[340];

	for (size_t i = 0; i < MEMBER_WISHES && wish->kinds[i] != PACKAGE_NONE; i++) {
		const struct json *found = NULL;
		size_t count = find_member(members, wish->kinds[i], wish->arch, &found);

		if (count == 1)
			return take_member(found, ret_member, err);
		if (count > 1) {
			name_members(members, wish->kinds[i], names, sizeof(names));
			return error_set(err, ERROR_INTEGRITY,
					 "%s holds more than one driver that fits: %s",
					 wish->bundle, names);
		}
	}

	name_members(members, PACKAGE_NONE, names, sizeof(names));
	return error_set(err, ERROR_INTEGRITY, "%s holds no driver that fits: %s",
			 wish->bundle, names[0] ? names : "no guest driver at all");
}

struct json *member_wish_json(const struct member_wish *wish)
{
	struct json *kinds = json_build("[]");

	for (size_t i = 0; i < MEMBER_WISHES && wish->kinds[i] != PACKAGE_NONE; i++) {
		if (!kinds ||
		    json_append(kinds,
				json_build("s", package_kind_name(wish->kinds[i]))) < 0) {
			json_free(kinds);
			return NULL;
		}
	}
	return json_build("{s:o, s:s, s:o}", "bundle", json_words(wish->bundle), "arch",
			  wish->arch, "kinds", kinds);
}

void member_wish_read(const struct json *json, struct member_wish *ret_wish)
{
	const struct json *kinds = json_get(json, "kinds");

	*ret_wish = (struct member_wish){
		.bundle = json_get_words(json, "bundle"),
		.arch = json_get_words(json, "arch"),
	};
	for (size_t i = 0; i < MEMBER_WISHES && i < json_count(kinds); i++)
		ret_wish->kinds[i] =
			package_kind_named(json_as_string(json_at(kinds, i)));
}
