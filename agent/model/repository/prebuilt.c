/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/prebuilt.h"

#include <string.h>

#include "base/text.h"
#include "model/repository/manifest.h"

const char *prebuilt_flavour(bool open)
{
	return open ? "open" : "proprietary";
}

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/* Required, printable and short enough. */
static bool take_text(const struct json *json, const char *key, char *ret_text,
		      size_t size)
{
	const char *text = json_get_string(json, key);

	return text && text[0] && is_plain(text) && text_copy(ret_text, size, text);
}

/* The same, where it may be absent or null. */
static bool take_optional(const struct json *json, const char *key, char *ret_text,
			  size_t size)
{
	ret_text[0] = '\0';
	return json_kind(json_get(json, key)) == JSON_KIND_NULL ||
	       take_text(json, key, ret_text, size);
}

/* A SHA-256, where it may be absent or null. */
static bool take_hash(const struct json *json, const char *key,
		      char ret_sha256[static PACKAGE_SHA256_SIZE])
{
	char text[PACKAGE_SHA256_SIZE];

	ret_sha256[0] = '\0';
	return take_optional(json, key, text, sizeof(text)) &&
	       (!text[0] || package_sha256(span_of(text), ret_sha256));
}

bool prebuilt_from_json(const struct json *json, struct prebuilt *ret_prebuilt)
{
	const char *flavour = json_get_string(json, "flavour");
	struct prebuilt found = { .size = 0 };
	int64_t size = json_get_int(json, "size", 0);

	if (!take_text(json, "name", found.name, sizeof(found.name)) ||
	    !take_text(json, "version", found.version, sizeof(found.version)) ||
	    !take_text(json, "kernel", found.kernel, sizeof(found.kernel)) ||
	    !take_text(json, "vermagic", found.vermagic, sizeof(found.vermagic)) ||
	    !take_text(json, "compiler", found.compiler, sizeof(found.compiler)) ||
	    !take_text(json, "arch", found.arch, sizeof(found.arch)) ||
	    !take_hash(json, "symbols", found.symbols) ||
	    !take_optional(json, "signed_by", found.signed_by, sizeof(found.signed_by)) ||
	    !take_hash(json, "sha256", found.sha256))
		return false;
	if (!version_valid(span_of(found.version)) ||
	    !kernel_release_valid(span_of(found.kernel)) ||
	    !manifest_path_is_safe(span_of(found.name)) || size < 0 || !flavour ||
	    (strcmp(flavour, "open") != 0 && strcmp(flavour, "proprietary") != 0))
		return false;

	found.open = strcmp(flavour, "open") == 0;
	found.size = (uint64_t)size;
	*ret_prebuilt = found;
	return true;
}

struct json *prebuilt_manifest(const struct prebuilt *prebuilt)
{
	return json_build("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "schema",
			  1, "name", prebuilt->name, "version", prebuilt->version,
			  "kernel", prebuilt->kernel, "vermagic", prebuilt->vermagic,
			  "compiler", prebuilt->compiler, "flavour",
			  prebuilt_flavour(prebuilt->open), "arch", prebuilt->arch,
			  "symbols", json_words_or_null(prebuilt->symbols), "signed_by",
			  json_words_or_null(prebuilt->signed_by));
}

const char *prebuilt_differs(const struct prebuilt *one, const struct prebuilt *other)
{
	if (strcmp(one->version, other->version) != 0)
		return "version";
	if (strcmp(one->kernel, other->kernel) != 0)
		return "kernel";
	if (strcmp(one->vermagic, other->vermagic) != 0)
		return "vermagic";
	if (strcmp(one->arch, other->arch) != 0)
		return "arch";
	if (one->open != other->open)
		return "flavour";
	if (strcmp(one->signed_by, other->signed_by) != 0)
		return "signed_by";
	return NULL;
}

const char *prebuilt_misses(const struct prebuilt *prebuilt,
			    const struct prebuilt_wish *wish)
{
	if (strcmp(prebuilt->version, wish->version) != 0)
		return "version";
	if (strcmp(prebuilt->kernel, wish->kernel) != 0)
		return "kernel";
	if (strcmp(prebuilt->arch, wish->arch) != 0)
		return "arch";
	if (strcmp(wish->flavour, "auto") != 0 &&
	    strcmp(prebuilt_flavour(prebuilt->open), wish->flavour) != 0)
		return "flavour";
	return NULL;
}

bool prebuilt_next(const struct json *list, const struct prebuilt_wish *wish, size_t *at,
		   struct prebuilt *ret_prebuilt)
{
	while (*at < json_count(list)) {
		const struct json *entry = json_at(list, (*at)++);

		if (prebuilt_from_json(entry, ret_prebuilt) &&
		    !prebuilt_misses(ret_prebuilt, wish))
			return true;
	}
	return false;
}
