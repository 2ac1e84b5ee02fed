/* SPDX-License-Identifier: Apache-2.0 */
#include "core/builds.h"

#include <string.h>

#include "base/text.h"
#include "model/repository/prebuilt.h"

static void take_out(struct builds *builds, size_t i)
{
	memmove(&builds->list[i], &builds->list[i + 1],
		(builds->count - i - 1) * sizeof(builds->list[0]));
	builds->count--;
}

static bool is_same(const struct known_build *one, const struct known_build *other)
{
	return strcmp(one->file, other->file) == 0 &&
	       strcmp(one->version, other->version) == 0 &&
	       strcmp(one->kernel, other->kernel) == 0;
}

void builds_note(struct builds *builds, const struct known_build *build)
{
	for (size_t i = builds->count; i > 0; i--) {
		if (is_same(&builds->list[i - 1], build))
			take_out(builds, i - 1);
	}
	if (builds->count == BUILDS_MAX)
		take_out(builds, 0);
	builds->list[builds->count++] = *build;
}

bool builds_has(const struct builds *builds, const char *kernel)
{
	for (size_t i = 0; i < builds->count; i++) {
		if (strcmp(builds->list[i].kernel, kernel) == 0)
			return true;
	}
	return false;
}

void builds_forget(struct builds *builds, const char *kernel, const char *compiler)
{
	for (size_t i = builds->count; i > 0; i--) {
		const struct known_build *build = &builds->list[i - 1];

		if (strcmp(build->kernel, kernel) == 0 &&
		    strcmp(build->compiler, compiler) != 0)
			take_out(builds, i - 1);
	}
}

size_t builds_failed_now(const struct builds *builds)
{
	size_t count = 0;

	for (size_t i = 0; i < builds->count; i++)
		count += builds->list[i].now && !builds->list[i].ok;
	return count;
}

/* A text that may be empty, but not missing or too long. */
static bool take_text(const struct json *json, const char *key, char *ret_text,
		      size_t size)
{
	const char *text = json_get_string(json, key);

	return text && text_copy(ret_text, size, text);
}

static bool read_build(const struct json *json, struct known_build *build)
{
	char flavour[16];

	if (!take_text(json, "file", build->file, sizeof(build->file)) ||
	    !take_text(json, "sha256", build->sha256, sizeof(build->sha256)) ||
	    !take_text(json, "version", build->version, sizeof(build->version)) ||
	    !take_text(json, "kernel", build->kernel, sizeof(build->kernel)) ||
	    !take_text(json, "compiler", build->compiler, sizeof(build->compiler)) ||
	    !take_text(json, "wanted", build->wanted, sizeof(build->wanted)) ||
	    !take_text(json, "flavour", flavour, sizeof(flavour)) ||
	    !take_text(json, "why", build->why, sizeof(build->why)))
		return false;
	build->open = strcmp(flavour, prebuilt_flavour(true)) == 0;
	build->ok = json_get_bool(json, "ok", false);
	return version_valid(span_of(build->version));
}

void builds_read(const struct json *list, struct builds *ret_builds)
{
	ret_builds->count = 0;
	for (size_t i = 0; i < json_count(list); i++) {
		struct known_build build = { .ok = false };

		if (read_build(json_at(list, i), &build))
			builds_note(ret_builds, &build);
	}
}

static struct json *build_json(const struct known_build *build)
{
	return json_build("{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "file",
			  json_words(build->file), "sha256", build->sha256, "version",
			  build->version, "kernel", build->kernel, "compiler",
			  build->compiler, "flavour", prebuilt_flavour(build->open),
			  "wanted", build->wanted, "ok", (int)build->ok, "why",
			  json_words(build->why));
}

struct json *builds_json(const struct builds *builds, const char *failed_for)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < builds->count; i++) {
		const struct known_build *build = &builds->list[i];

		if (failed_for && (build->ok || strcmp(build->kernel, failed_for) != 0))
			continue;
		if (json_append(list, build_json(build)) < 0)
			return NULL;
	}
	return take_ptr(list);
}
