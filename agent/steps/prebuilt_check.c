/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/prebuilt.h that judges whether modules belong to a kernel. */

#include "steps/prebuilt.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define LIST_MAX (8u << 20) /* modules.dep and Module.symvers have about 1 MiB */
#define KEYS_MAX (1u << 20)
#define SAMPLE_MAX 400 /* of the kernel's own modules: some 2 ms each */

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

	(void)text_format(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
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

/* Every line of the output the same one, and as many as there are modules. */
static bool all_say(const struct run_result *result, size_t count, struct span wanted)
{
	struct span rest = { result->output, result->size }, line;
	size_t same = 0;

	while (span_next_line(&rest, &line)) {
		line = span_trim(line);
		if (line.len != wanted.len || memcmp(line.at, wanted.at, line.len) != 0)
			return false;
		same++;
	}
	return same == count && wanted.len > 0;
}

static int check_vermagic(struct runner *runner, const struct root *root,
			  const char *release, const struct own *own,
			  const struct build_result *built, struct error *err)
{
	cleanup(run_result_done) struct run_result theirs = { 0 }, ours = { 0 };
	struct span rest = { own->text, own->size }, wanted, more;
	struct build_result first = { .count = 1 };

	if (!next_own(&rest, release, first.modules[0], sizeof(first.modules[0])) ||
	    prebuilt_fields(runner, root, &first, "vermagic", &ours, err) < 0 ||
	    prebuilt_fields(runner, root, built, "vermagic", &theirs, err) < 0)
		return -1;
	(void)span_split((struct span){ ours.output, ours.size }, '\n', &wanted, &more);
	wanted = span_trim(wanted);
	if (all_say(&theirs, built->count, wanted))
		return 0;
	return error_set(err, ERROR_INTEGRITY,
			 "their vermagic is not \"%.*s\", as the kernel wants it",
			 (int)wanted.len, wanted.at);
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

	(void)text_format(path, sizeof(path), "/lib/modules/%s/build/Module.symvers",
			  release);
	*ret_complete = file_read(root, path, LIST_MAX, &text, &size, &why) == 0;
	if (*ret_complete && !symvers_confirm(needed, (struct span){ text, size }, name))
		return contradicts(name, err);
	return 0;
}

/* A sample of them, spread over all of the kernel's subsystems. */
static int confirm_by_own(struct runner *runner, const struct root *root,
			  const char *release, const struct own *own,
			  struct symvers *needed, struct error *err)
{
	struct span rest = { own->text, own->size };
	size_t step = own->count / SAMPLE_MAX + 1;
	char path[256], name[SYMVERS_NAME_MAX];

	for (size_t i = 0; next_own(&rest, release, path, sizeof(path)); i++) {
		cleanup(run_result_done) struct run_result result = { 0 };

		if (i % step != 0)
			continue;
		if (prebuilt_dump(runner, root, path, &result, err) < 0)
			return -1;
		if (!symvers_confirm(needed, (struct span){ result.output, result.size },
				     name))
			return contradicts(name, err);
	}
	return 0;
}

/*
 * The layout of struct module must be confirmed, and half of the rest: of what the driver
 * uses some is used by no module of the kernel's, so nobody but the headers can say it.
 * What begins with "nv" the driver's modules have of each other.
 */
static int judge(const struct symvers *needed, bool complete, struct error *err)
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

int prebuilt_check(struct runner *runner, const struct root *root, const char *release,
		   const struct build_result *built, struct error *err)
{
	cleanup(symvers_done) struct symvers needed = SYMVERS_INIT;
	cleanup(own_done) struct own own = { .text = NULL };
	bool complete = false;

	if (list_own(root, release, &own, err) < 0 ||
	    check_vermagic(runner, root, release, &own, built, err) < 0 ||
	    prebuilt_symvers(runner, root, built, &needed, err) < 0 ||
	    confirm_by_headers(root, release, &needed, &complete, err) < 0 ||
	    confirm_by_own(runner, root, release, &own, &needed, err) < 0)
		return -1;
	return judge(&needed, complete, err);
}

/* "1f030000 I------ 1 perm 1f030000 0 0 asymmetri NAME: X509.rsa 0a1b2c3d []" */
static bool kernel_knows(const struct root *root, const char *signed_by)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, "/proc/keys", O_RDONLY, 0, &ignored);
	cleanup_free char *text = NULL;
	struct span rest, line;
	char wanted[PREBUILT_TEXT_MAX + 32];
	size_t size;

	if (fd < 0 || file_read_fd(fd, KEYS_MAX, &text, &size, &ignored) < 0)
		return false;
	(void)text_format(wanted, sizeof(wanted), " asymmetri %s: X509", signed_by);
	rest = (struct span){ text, size };
	while (span_next_line(&rest, &line)) {
		if (memmem(line.at, line.len, wanted, strlen(wanted)))
			return true;
	}
	return false;
}

int prebuilt_check_signed(struct runner *runner, const struct root *root,
			  const char *signed_by, const struct build_result *built,
			  struct error *err)
{
	cleanup(run_result_done) struct run_result signers = { 0 };
	const char *colon = strrchr(signed_by, ':');

	if (!colon)
		return error_set(err, ERROR_SECURE_BOOT,
				 "Secure Boot is on and they are not signed");
	if (prebuilt_fields(runner, root, built, "signer", &signers, err) < 0)
		return -1;
	if (!all_say(&signers, built->count,
		     (struct span){ signed_by, (size_t)(colon - signed_by) }))
		return error_set(err, ERROR_SECURE_BOOT,
				 "they are not signed by %.150s, as their manifest says",
				 signed_by);
	if (!kernel_knows(root, signed_by))
		return error_set(err, ERROR_SECURE_BOOT,
				 "Secure Boot is on and the kernel does not list the key "
				 "that signed them: %.150s",
				 signed_by);
	return 0;
}
