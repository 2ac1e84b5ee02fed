/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/repository/prebuilt.h"

/* A line of the index about one of the kernels. */
struct known_line {
	char version[VERSION_MAX];
	const char *kernel; /* the input's text */
	bool open, ok;
	bool archive; /* its modules are there: nothing has to be compiled */
	const char *why;
};

static const char *kernel_of(const struct known_input *input, const char *kernel)
{
	for (size_t i = 0; kernel && i < input->kernel_count; i++) {
		if (strcmp(input->kernels[i], kernel) == 0)
			return input->kernels[i];
	}
	return NULL;
}

static void add_archive(const struct known_input *input, const struct json *entry,
			struct known_list *list)
{
	const char *kernel = kernel_of(input, json_get_string(entry, "kernel"));
	struct known_line *line = &list->lines[list->count];
	struct prebuilt prebuilt;

	if (!kernel || !prebuilt_from_json(entry, &prebuilt) ||
	    strcmp(prebuilt.arch, input->arch) != 0)
		return;
	*line = (struct known_line){ .kernel = kernel,
				     .open = prebuilt.open,
				     .ok = true,
				     .archive = true,
				     .why = "" };
	(void)text_copy(line->version, sizeof(line->version), prebuilt.version);
	list->count++;
}

static void add_build(const struct known_input *input, const struct index_build *build,
		      struct known_list *list)
{
	const char *kernel = kernel_of(input, build->kernel);
	struct known_line *line = &list->lines[list->count];

	if (!kernel || (build->arch[0] && strcmp(build->arch, input->arch) != 0))
		return;
	*line = (struct known_line){
		.kernel = kernel, .open = build->open, .ok = build->ok, .why = build->why
	};
	(void)text_copy(line->version, sizeof(line->version), build->version);
	list->count++;
}

int known_collect(const struct known_input *input, const struct index *index,
		  struct known_list *ret_list, struct error *err)
{
	size_t archives = index ? json_count(index->modules) : 0;
	size_t builds = index ? index->build_count : 0;
	struct known_list list = { .count = 0 };

	list.lines = calloc(archives + builds + 1, sizeof(*list.lines));
	if (!list.lines)
		return error_set_errno(err, ENOMEM, "choosing a driver");
	for (size_t i = 0; i < archives; i++)
		add_archive(input, json_at(index->modules, i), &list);
	for (size_t i = 0; i < builds; i++)
		add_build(input, &index->builds[i], &list);
	*ret_list = list;
	return 0;
}

void known_done(struct known_list *list)
{
	free(list->lines);
	*list = (struct known_list){ .count = 0 };
}

/* Whether modules of this flavour are what will be built, as far as that is known. */
static bool is_wanted_flavour(const struct known_input *input, const char *version,
			      bool open)
{
	if (strcmp(input->wanted, "auto") == 0)
		return open == version_takes_open(version);
	return strcmp(input->wanted, prebuilt_flavour(open)) == 0;
}

/* As it will be looked for: of an archive the package has the last word on the flavour.
 */
static const struct known_line *find_line(const struct known_input *input,
					  const struct known_list *list,
					  const char *version, const char *kernel,
					  bool archive)
{
	bool any = archive && strcmp(input->wanted, "auto") == 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct known_line *line = &list->lines[i];

		if (line->archive == archive && strcmp(line->kernel, kernel) == 0 &&
		    strcmp(line->version, version) == 0 &&
		    (any || is_wanted_flavour(input, version, line->open)))
			return line;
	}
	return NULL;
}

/* Another file under the same name, or the same version in another file, may compile. */
static bool is_of_file(const struct known_build *build, const struct package *file)
{
	if (build->now || !build->file[0] || !file->name[0])
		return true;
	return strcmp(build->file, file->name) == 0 &&
	       strcmp(build->sha256, file->sha256) == 0;
}

static const struct known_build *find_build(const struct known_input *input,
					    const struct package *file,
					    const char *kernel)
{
	for (size_t i = input->build_count; i > 0; i--) {
		const struct known_build *build = &input->builds[i - 1];

		if (strcmp(build->version, file->version) == 0 &&
		    strcmp(build->kernel, kernel) == 0 && is_of_file(build, file) &&
		    (strcmp(build->wanted, input->wanted) == 0 ||
		     strcmp(prebuilt_flavour(build->open), input->wanted) == 0))
			return build;
	}
	return NULL;
}

/*
 * On one kernel. What failed a moment ago counts most, then modules that need no compile,
 * then what this guest itself has seen.
 */
static struct known on_kernel(const struct known_input *input,
			      const struct known_list *list, const struct package *file,
			      const char *kernel)
{
	const struct known_build *build = find_build(input, file, kernel);
	const struct known_line *line;

	if (build && build->now && !build->ok)
		return (struct known){ KNOWN_FAILS, kernel, build->why, true };
	if (find_line(input, list, file->version, kernel, true))
		return (struct known){ .verdict = KNOWN_WORKS };
	if (build && !build->ok)
		return (struct known){ KNOWN_FAILS, kernel, build->why, true };
	if (build && input->own_successes)
		return (struct known){ .verdict = KNOWN_WORKS };
	line = find_line(input, list, file->version, kernel, false);
	if (line && !line->ok)
		return (struct known){ KNOWN_FAILS, kernel, line->why, false };
	return (struct known){ .verdict = line ? KNOWN_WORKS : KNOWN_NOTHING };
}

struct known known_of(const struct known_input *input, const struct known_list *list,
		      const struct package *file)
{
	struct known all = { .verdict = input->kernel_count ? KNOWN_WORKS
							    : KNOWN_NOTHING };

	for (size_t i = 0; i < input->kernel_count; i++) {
		struct known one = on_kernel(input, list, file, input->kernels[i]);

		if (one.verdict < all.verdict)
			all = one;
	}
	return all;
}
