/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/build/prebuilt.h that judges whether modules belong to a kernel. */

#include "steps/build/prebuilt.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define CONFIG_MAX (1u << 20)
#define LIST_MAX (8u << 20) /* modules.dep and Module.symvers have about 1 MiB */
#define SAMPLE_MAX                                                               \
	400 /* of the kernel's own modules: some 0.05 ms each where they are not \
	       compressed */

/* The modules that came with the kernel, as paths in modules.dep's order. */
struct own {
	char *text;
	size_t size;
	size_t count;
};

static void own_done(struct own *own)
{
	free(own->text);
}

static bool next_own(struct span *rest, const char *release, char *ret_path, size_t size)
{
	struct span line, path, more;

	while (span_next_line(rest, &line)) {
		(void)span_split(line, ':', &path, &more);
		if (span_starts(path, "kernel/") &&
		    text_format(ret_path, size, "/lib/modules/%s/%.*s", release,
				(int)path.len, path.at))
			return true;
	}
	return false;
}

static int list_own(const struct root *root, const char *release, struct own *own,
		    struct error *err)
{
	struct error why = ERROR_INIT;
	struct span rest;
	char path[256];

	text_path(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
	if (file_read(root, path, LIST_MAX, &own->text, &own->size, &why) == 0) {
		rest = (struct span){ own->text, own->size };
		while (next_own(&rest, release, path, sizeof(path)))
			own->count++;
	}
	if (own->count > 0)
		return 0;
	return error_set(err, ERROR_INTEGRITY,
			 "kernel %s has no modules of its own to compare with", release);
}

/* Whether each module has this very value in the field. */
static int check_field(const struct module_file_library *library, const struct root *root,
		       const struct build_result *built, const char *field,
		       const char *wanted, bool *ret_same, struct error *err)
{
	*ret_same = wanted[0] != '\0';
	for (size_t i = 0; i < built->count && *ret_same; i++) {
		char value[PREBUILT_TEXT_MAX];

		if (module_file_field(library, root, built->modules[i], field, value,
				      sizeof(value), err) < 0)
			return -1;
		*ret_same = strcmp(value, wanted) == 0;
	}
	return 0;
}

static int check_vermagic(const struct module_file_library *library,
			  const struct root *root, const char *release,
			  const struct own *own, const struct build_result *built,
			  struct error *err)
{
	struct span rest = { own->text, own->size };
	char path[256], wanted[PREBUILT_TEXT_MAX];
	bool same;

	if (!next_own(&rest, release, path, sizeof(path)) ||
	    module_file_field(library, root, path, "vermagic", wanted, sizeof(wanted),
			      err) < 0 ||
	    check_field(library, root, built, "vermagic", wanted, &same, err) < 0)
		return -1;
	return same ? 0
		    : error_set(err, ERROR_INTEGRITY,
				"their vermagic is not \"%s\", as the kernel wants it",
				wanted);
}

static int contradicts(const char *name, struct error *err)
{
	return error_set(err, ERROR_INTEGRITY,
			 "they want another version of the symbol %.100s than the kernel "
			 "has",
			 name);
}

/* The headers' list names every symbol there is; false: there is none. */
static int confirm_by_headers(const struct root *root, const char *release,
			      struct symvers *needed, bool *ret_complete,
			      struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	char path[160], name[SYMVERS_NAME_MAX];
	size_t size;

	text_path(path, sizeof(path), "/lib/modules/%s/build/Module.symvers", release);
	*ret_complete = file_read(root, path, LIST_MAX, &text, &size, &why) == 0;
	if (*ret_complete && !symvers_confirm(needed, (struct span){ text, size }, name))
		return contradicts(name, err);
	return 0;
}

/* A sample of them, spread over all of the kernel's subsystems. */
static int confirm_by_own(const struct module_file_library *library,
			  const struct root *root, const char *release,
			  const struct own *own, struct symvers *needed,
			  struct error *err)
{
	struct span rest = { own->text, own->size };
	size_t step = own->count / SAMPLE_MAX + 1;
	char path[256], name[SYMVERS_NAME_MAX];

	for (size_t i = 0; next_own(&rest, release, path, sizeof(path)); i++) {
		cleanup_free char *text = NULL;

		if (i % step != 0)
			continue;
		if (module_file_versions(library, root, path, &text, err) < 0)
			return -1;
		if (!symvers_confirm(needed, span_of(text), name))
			return contradicts(name, err);
	}
	return 0;
}

/*
 * The layout of struct module must be confirmed, and half of the rest: of what the driver
 * uses some is used by no module of the kernel's, so nobody but the headers can say it.
 * What begins with "nv" the driver's modules have of each other.
 */
static int judge_symbols(const struct symvers *needed, bool complete, struct error *err)
{
	const struct symvers_symbol *layout =
		symvers_find(needed, span_of("module_layout"));
	const char *missing = NULL;
	size_t unknown = 0;

	for (size_t i = 0; i < needed->count; i++) {
		if (needed->symbols[i].confirmed ||
		    text_starts(needed->symbols[i].name, "nv"))
			continue;
		missing = needed->symbols[i].name;
		unknown++;
	}
	if (!layout || !layout->confirmed)
		return error_set(err, ERROR_INTEGRITY,
				 "the kernel's symbol versions do not confirm theirs");
	if (complete && missing)
		return error_set(err, ERROR_INTEGRITY,
				 "the kernel has no symbol %.100s, which they use",
				 missing);
	if (unknown > needed->confirmed)
		return error_set(err, ERROR_INTEGRITY,
				 "the kernel's own modules confirm only %zu of the %zu "
				 "symbols that they use",
				 needed->confirmed, needed->confirmed + unknown);
	return 0;
}

int prebuilt_check(const struct root *root, const char *release,
		   const struct build_result *built, struct error *err)
{
	cleanup_module_file struct module_file_library *library = NULL;
	cleanup(symvers_done) struct symvers needed = SYMVERS_INIT;
	cleanup(own_done) struct own own = { .text = NULL };
	bool complete = false;

	if (module_file_open(&library, err) < 0 ||
	    list_own(root, release, &own, err) < 0 ||
	    check_vermagic(library, root, release, &own, built, err) < 0 ||
	    prebuilt_symvers(library, root, built, &needed, err) < 0 ||
	    confirm_by_headers(root, release, &needed, &complete, err) < 0 ||
	    confirm_by_own(library, root, release, &own, &needed, err) < 0)
		return -1;
	return judge_symbols(&needed, complete, err);
}

bool prebuilt_check_unprovable(const struct root *root, const char *release,
			       char ret_file[static PREBUILT_CONFIG_SIZE])
{
	static const struct {
		const char *before, *behind;
	} files[] = {
		{ "/lib/modules/", "/build/include/config/auto.conf" },
		{ "/lib/modules/", "/config" },
		{ "/boot/config-", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_free char *text = NULL;
		struct span rest, line;
		bool says = false;
		size_t size;

		text_path(ret_file, PREBUILT_CONFIG_SIZE, "%s%s%s", files[i].before,
			  release, files[i].behind);
		if (file_read(root, ret_file, CONFIG_MAX, &text, &size, &ignored) < 0)
			continue;
		rest = (struct span){ text, size };
		while (span_next_line(&rest, &line)) {
			if (span_equals(line, "CONFIG_MODVERSIONS=y"))
				return false;
			says |= span_equals(line, "CONFIG_MODULES=y");
		}
		if (says)
			return true;
	}
	return false;
}
