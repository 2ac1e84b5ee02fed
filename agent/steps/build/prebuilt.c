/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/prebuilt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/text.h"
#include "model/kernel/symvers.h"

int prebuilt_symvers(const struct module_file_library *library, const struct root *root,
		     const struct build_result *built, struct symvers *symvers,
		     struct error *err)
{
	for (size_t i = 0; i < built->count; i++) {
		cleanup_free char *text = NULL;

		if (module_file_versions(library, root, built->modules[i], &text, err) <
		    0)
			return -1;
		if (symvers_read(span_of(text), symvers, err) < 0)
			return error_prefix(err, "%s", text_base_name(built->modules[i]));
	}
	return 0;
}

/* Its SHA-256, by the worker: the agent itself has no library for it. */
static int hash_symvers(const struct prebuilt_input *input,
			const struct module_file_library *library, char *ret_sha256,
			size_t size, struct error *err)
{
	cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT;
	cleanup_json struct json *request =
		json_build("{s:s, s:i}", "job", "copy", "input", CHANNEL_FIRST_FILE);
	cleanup_json struct json *answer = NULL;
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	const char *sha256;

	if (prebuilt_symvers(library, input->root, input->built, &symvers, err) < 0)
		return -1;
	ret_sha256[0] = '\0';
	if (symvers.count == 0)
		return 0;
	text = symvers_print(&symvers);
	fd = memfd_create("symvers", MFD_CLOEXEC);
	if (!request || !text || fd < 0)
		return error_set_errno(err, ENOMEM, "reading symbol versions");
	if (file_write_all(fd, text, strlen(text), err) < 0 ||
	    channel_call(input->channel, request, &fd, 1, &answer, err) < 0)
		return -1;
	sha256 = json_get_string(answer, "sha256");
	if (!sha256 || !text_copy(ret_sha256, size, sha256))
		return error_set(err, ERROR_INTERNAL, "the worker's answer has no hash");
	return 0;
}

static int describe(const struct prebuilt_input *input, struct prebuilt *prebuilt,
		    struct error *err)
{
	cleanup_module_file struct module_file_library *library = NULL;

	if (module_file_open(&library, err) < 0 ||
	    module_file_field(library, input->root, input->built->modules[0], "vermagic",
			      prebuilt->vermagic, sizeof(prebuilt->vermagic), err) < 0)
		return -1;
	return hash_symvers(input, library, prebuilt->symbols, sizeof(prebuilt->symbols),
			    err);
}

/* The descriptors of one call to the worker. */
struct files {
	size_t count;
	int fds[BUILD_MODULES_MAX + 2];
};

static void files_done(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		(void)close(files->fds[i]);
	files->count = 0;
}

static int files_add(struct files *files, int fd)
{
	files->fds[files->count] = fd;
	return CHANNEL_FIRST_FILE + (int)files->count++;
}

static int add_modules(const struct prebuilt_input *input, struct json *list,
		       struct files *files, struct error *err)
{
	for (size_t i = 0; i < input->built->count; i++) {
		const char *path = input->built->modules[i];
		int fd = root_open_at(input->root, path, O_RDONLY | O_NOFOLLOW, 0, err);

		if (fd < 0)
			return -1;
		if (json_append(list,
				json_build("{s:s, s:i}", "name", text_base_name(path),
					   "input", files_add(files, fd))) < 0)
			return error_set_errno(err, ENOMEM, "packing the modules");
	}
	return 0;
}

static int add_file(struct json *request, const char *key, int fd, struct files *files,
		    struct error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return error_set_errno(err, errno, "packing the modules");
	if (json_set(request, key, json_build("i", files_add(files, copy))) < 0)
		return error_set_errno(err, ENOMEM, "packing the modules");
	return 0;
}

int prebuilt_pack(const struct prebuilt_input *input, struct prebuilt *prebuilt,
		  int output, struct error *err)
{
	cleanup(files_done) struct files files = { .count = 0 };
	cleanup_json struct json *request = NULL, *answer = NULL, *list = NULL;

	if (describe(input, prebuilt, err) < 0)
		return -1;
	list = json_build("[]");
	request = json_build("{s:s, s:o}", "job", "pack", "manifest",
			     prebuilt_manifest(prebuilt));
	if (!list || !request)
		return error_set_errno(err, ENOMEM, "packing the modules");
	if (add_modules(input, list, &files, err) < 0 ||
	    add_file(request, "output", output, &files, err) < 0)
		return -1;
	if (input->cert >= 0 && add_file(request, "cert", input->cert, &files, err) < 0)
		return -1;
	if (json_set(request, "modules", take_ptr(list)) < 0)
		return error_set_errno(err, ENOMEM, "packing the modules");
	return channel_call(input->channel, request, files.fds, files.count, &answer,
			    err);
}
