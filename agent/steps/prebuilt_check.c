/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/prebuilt.h that asks whether a kernel would load the modules. */

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "steps/prebuilt.h"

#define NAMES_MAX 4096
#define DEPTH_MAX 12
#define OWN_MAX 96 /* of the kernel's modules at 5 ms each; the largest use the most */
#define FIELD_MAX 192
#define SYMVERS_FILE_MAX (64u << 20)

/* The kernel's own modules, the largest first. */
struct own {
	size_t count;
	struct own_module {
		char path[256];
		off_t size;
	} modules[OWN_MAX];
};

static void own_add(struct own *own, const char *path, off_t size)
{
	size_t at = own->count;

	while (at > 0 && own->modules[at - 1].size < size)
		at--;
	if (at == OWN_MAX)
		return;
	if (own->count < OWN_MAX)
		own->count++;
	memmove(&own->modules[at + 1], &own->modules[at],
		(own->count - 1 - at) * sizeof(own->modules[0]));
	own->modules[at].size = size;
	(void)text_copy(own->modules[at].path, sizeof(own->modules[at].path), path);
}

static bool is_module(const char *name)
{
	return text_ends(name, ".ko") || text_ends(name, ".ko.xz") ||
	       text_ends(name, ".ko.zst") || text_ends(name, ".ko.gz");
}

static int own_find(const struct root *root, const char *dir, int depth, struct own *own,
		    struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, dir, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[256];
		struct stat st;

		if (!text_format(path, sizeof(path), "%s/%s", dir, *name) ||
		    !root_stat(root, path, &st))
			continue;
		if (S_ISREG(st.st_mode) && is_module(*name))
			own_add(own, path, st.st_size);
		else if (S_ISDIR(st.st_mode) && depth > 0 &&
			 own_find(root, path, depth - 1, own, err) < 0)
			return -1;
	}
	return 0;
}

/* All modules say exactly this. */
static int check_lines(const struct run_result *result, size_t count, const char *field,
		       const char *expected, struct error *err)
{
	struct span rest = { result->output, result->size }, line;
	size_t lines = 0;

	while (span_next_line(&rest, &line)) {
		char value[FIELD_MAX];

		line = span_trim(line);
		if (span_equals(line, expected)) {
			lines++;
			continue;
		}
		(void)span_copy(line, value, sizeof(value));
		text_sanitize(value);
		return error_set(err, ERROR_INTEGRITY,
				 "a prebuilt module has the %s \"%s\", not \"%s\"", field,
				 value, expected);
	}
	if (lines != count)
		return error_set(err, ERROR_INTEGRITY, "a prebuilt module has no %s",
				 field);
	return 0;
}

/* One set of modules that is examined for one kernel. */
struct examination {
	struct runner *runner;
	const struct root *root;
	const struct kernel *kernel;
	const struct build_result *built;
	struct own own;
	char vermagic[FIELD_MAX]; /* of the kernel's largest module */
};

static int check_field(struct examination *examination, const char *field,
		       const char *expected, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };

	if (prebuilt_fields(examination->runner, examination->root, examination->built,
			    field, &result, err) < 0)
		return -1;
	return check_lines(&result, examination->built->count, field, expected, err);
}

static int read_vermagic(struct examination *examination, struct error *err)
{
	const char *release = examination->kernel->release;
	char *vermagic = examination->vermagic;
	cleanup(run_result_done) struct run_result result = { 0 };
	struct build_result one = { .count = 1 };
	struct span rest, line = { "", 0 };

	if (examination->own.count > 0) {
		(void)text_copy(one.modules[0], sizeof(one.modules[0]),
				examination->own.modules[0].path);
		if (prebuilt_fields(examination->runner, examination->root, &one,
				    "vermagic", &result, err) < 0)
			return -1;
		rest = (struct span){ result.output, result.size };
		(void)span_next_line(&rest, &line);
	}
	(void)span_copy(span_trim(line), vermagic, FIELD_MAX);
	if (text_starts(vermagic, release) && vermagic[strlen(release)] == ' ')
		return 0;
	return error_set(err, ERROR_PREREQUISITES,
			 "kernel %s has no module of its own to compare with", release);
}

static int contradicts(const char *symbol, const char *whose, struct error *err)
{
	return error_set(
		err, ERROR_INTEGRITY,
		"the prebuilt modules need another version of %.100s than %s has", symbol,
		whose);
}

static int ask_headers(const struct examination *examination, struct symvers *symvers,
		       struct error *err)
{
	const struct kernel *kernel = examination->kernel;
	struct error missing = ERROR_INIT;
	cleanup_free char *text = NULL;
	char path[192], symbol[SYMVERS_NAME_MAX];
	size_t size;

	if (!kernel->headers)
		return 0;
	(void)text_format(path, sizeof(path), "%s/Module.symvers", kernel->build);
	if (file_read(examination->root, path, SYMVERS_FILE_MAX, &text, &size, &missing) <
	    0)
		return 0;
	if (symvers_confirm(symvers, (struct span){ text, size }, symbol))
		return 0;
	return contradicts(symbol, path, err);
}

static int ask_modules(const struct examination *examination, struct symvers *symvers,
		       struct error *err)
{
	const struct own *own = &examination->own;

	for (size_t i = 0; i < own->count && symvers->confirmed < symvers->count; i++) {
		cleanup(run_result_done) struct run_result result = { 0 };
		const char *path = own->modules[i].path;
		char symbol[SYMVERS_NAME_MAX];

		if (prebuilt_dump(examination->runner, examination->root, path, &result,
				  err) < 0)
			return -1;
		if (!symvers_confirm(symvers, (struct span){ result.output, result.size },
				     symbol))
			return contradicts(symbol, path, err);
	}
	return 0;
}

/*
 * Every symbol that the kernel's modules use too must have their CRC, and module_layout,
 * which every module uses, must be among them. A symbol that none of them uses stays for
 * the kernel to judge.
 */
static int check_symbols(const struct examination *examination, struct error *err)
{
	cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT;
	const struct symvers_symbol *layout;

	if (prebuilt_read_symvers(examination->runner, examination->root,
				  examination->built, &symvers, err) < 0 ||
	    ask_headers(examination, &symvers, err) < 0 ||
	    ask_modules(examination, &symvers, err) < 0)
		return -1;
	layout = symvers_find(&symvers, span_of("module_layout"));
	if (!layout)
		return error_set(err, ERROR_INTEGRITY,
				 "the prebuilt modules have no symbol versions");
	if (!layout->confirmed)
		return error_set(err, ERROR_PREREQUISITES,
				 "kernel %s does not say which symbol versions it has",
				 examination->kernel->release);
	return 0;
}

int prebuilt_check(struct runner *runner, const struct root *root,
		   const struct kernel *kernel, const char *version,
		   const struct build_result *built, struct error *err)
{
	cleanup_free struct examination *examination = calloc(1, sizeof(*examination));
	char dir[128];

	if (!examination)
		return error_set_errno(err, ENOMEM, "examining the modules");
	examination->runner = runner;
	examination->root = root;
	examination->kernel = kernel;
	examination->built = built;
	(void)text_format(dir, sizeof(dir), "/lib/modules/%s/kernel", kernel->release);
	if (own_find(root, dir, DEPTH_MAX, &examination->own, err) < 0 ||
	    read_vermagic(examination, err) < 0 ||
	    check_field(examination, "version", version, err) < 0 ||
	    check_field(examination, "vermagic", examination->vermagic, err) < 0)
		return -1;
	/* A kernel without CRCs compares the vermagic alone. */
	if (!strstr(examination->vermagic, " modversions"))
		return 0;
	return check_symbols(examination, err);
}
