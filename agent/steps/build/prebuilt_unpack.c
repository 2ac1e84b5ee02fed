/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/build/prebuilt.h that takes the modules out of an archive. */

#include "steps/build/prebuilt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"

static bool module_path(const char *dir, const char *name, char *ret_path, size_t size)
{
	return text_starts(name, "nvidia") && text_ends(name, ".ko") &&
	       !strchr(name, '/') && text_format(ret_path, size, "%s/%s", dir, name);
}

/* What the modules are written to before their names are known. */
static bool slot_path(const char *dir, size_t i, char *ret_path, size_t size)
{
	return text_format(ret_path, size, "%s/%zu", dir, i);
}

static void close_all(int (*fds)[BUILD_MODULES_MAX + 1])
{
	for (size_t i = 0; i <= BUILD_MODULES_MAX; i++) {
		if ((*fds)[i] >= 0)
			(void)close((*fds)[i]);
	}
}

/*
 * The worker writes each module to a descriptor that was opened before the module's name
 * is known: a name from an archive opens nothing.
 */
static int unpack_into_slots(const struct channel *channel, const struct root *root,
			     int archive, const char *dir, struct json **ret_answer,
			     struct error *err)
{
	cleanup(close_all) int fds[BUILD_MODULES_MAX + 1] = { -1, -1, -1, -1, -1,
							      -1, -1, -1, -1 };
	cleanup_json struct json *outputs = json_build("[]"), *request = NULL;
	char path[256];

	fds[0] = fcntl(archive, F_DUPFD_CLOEXEC, 0);
	if (fds[0] < 0)
		return error_set_errno(err, errno, "reading the archive");
	for (size_t i = 1; i <= BUILD_MODULES_MAX; i++) {
		if (!slot_path(dir, i, path, sizeof(path)))
			return error_set_errno(err, ENAMETOOLONG, "%s", dir);
		fds[i] = root_open_at(root, path, O_RDWR | O_CREAT | O_EXCL, 0644, err);
		if (fds[i] < 0)
			return -1;
		if (json_append(outputs, json_build("i", CHANNEL_FIRST_FILE + (int)i)) <
		    0)
			return error_set_errno(err, ENOMEM, "reading the archive");
	}
	request = json_build("{s:s, s:i, s:O}", "job", "modules", "input",
			     CHANNEL_FIRST_FILE, "outputs", outputs);
	if (!request)
		return error_set_errno(err, ENOMEM, "reading the archive");
	return channel_call(channel, request, fds, BUILD_MODULES_MAX + 1, ret_answer,
			    err);
}

/* Gives the written files the names that the archive has for them. */
static int name_modules(const struct root *root, const struct json *modules,
			const char *dir, struct build_result *built, struct error *err)
{
	char from[256];

	for (size_t i = 0; i < BUILD_MODULES_MAX; i++) {
		const char *name = json_get_string(json_at(modules, i), "name");
		char *to = built->modules[built->count];

		if (!slot_path(dir, i + 1, from, sizeof(from)))
			return error_set_errno(err, ENAMETOOLONG, "%s", dir);
		if (i >= json_count(modules)) {
			if (root_unlink(root, from, err) < 0)
				return -1;
			continue;
		}
		if (!name || !module_path(dir, name, to, sizeof(built->modules[0])))
			return error_set(err, ERROR_INTEGRITY,
					 "the archive has a module of an odd name");
		if (root_rename(root, from, to, err) < 0)
			return -1;
		built->count++;
	}
	return 0;
}

int prebuilt_unpack(const struct channel *channel, const struct root *root, int archive,
		    const char *dir, struct prebuilt_content *ret_content,
		    struct error *err)
{
	cleanup_json struct json *answer = NULL;
	struct prebuilt_content content = { .built = { .count = 0 } };

	if (root_remove_tree(root, dir, err) < 0 ||
	    root_mkdir(root, dir, 0700, err) < 0 ||
	    unpack_into_slots(channel, root, archive, dir, &answer, err) < 0)
		return -1;
	if (!prebuilt_from_json(json_get(answer, "manifest"), &content.manifest))
		return error_set(err, ERROR_INTEGRITY,
				 "the archive's manifest does not say what it is for");
	content.verified = json_get_string(json_get(answer, "manifest"), "certificate") !=
			   NULL;
	if (name_modules(root, json_get(answer, "modules"), dir, &content.built, err) < 0)
		return -1;

	*ret_content = content;
	return 0;
}
