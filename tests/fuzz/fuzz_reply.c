/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the agent's steps make of a worker's result. The first byte says whose result it
 * is, the rest is it. Nothing of the file system is touched: what the step would do there
 * must stay in its own folder.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/channel.h"
#include "base/file.h"
#include "base/root.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "model/paths.h"
#include "steps/build/prebuilt.h"
#include "steps/detect/probe.h"
#include "steps/entry.h"
#include "steps/fetch/fetch_cache.h"
#include "steps/fetch/match.h"
#include "steps/fetch/metadata.h"
#include "steps/fetch/unpack.h"
#include "steps/license/token.h"

#define FOLDER "/var/cache/modules"

static const struct channel channel = { .worker = "/worker", .cancel_fd = -1 };
static const struct root root = { .fd = -1 };
static struct span said;

__typeof__(channel_call) __wrap_channel_call;
__typeof__(file_read) __wrap_file_read;
__typeof__(file_update) __wrap_file_update;
__typeof__(root_open_at) __wrap_root_open_at;
__typeof__(root_mkdir) __wrap_root_mkdir;
__typeof__(root_remove_tree) __wrap_root_remove_tree;
__typeof__(root_rename) __wrap_root_rename;
__typeof__(root_unlink) __wrap_root_unlink;

int __wrap_channel_call(const struct channel *to, const struct json *request,
			const int *fds, size_t fd_count, struct json **ret_result,
			struct error *err)
{
	(void)to;
	(void)request;
	(void)fds;
	(void)fd_count;
	return json_parse(said.at, said.len, ret_result, err);
}

/* What was remembered of the metadata: nothing; and what will be goes nowhere. */
int __wrap_file_read(const struct root *in, const char *path, size_t limit,
		     char **ret_text, size_t *ret_size, struct error *err)
{
	(void)in;
	(void)limit;
	(void)ret_text;
	(void)ret_size;
	return error_set_errno(err, ENOENT, "%s", path);
}

int __wrap_file_update(const struct root *in, const char *path, struct span content,
		       mode_t mode, bool *ret_changed, struct error *err)
{
	(void)in;
	(void)content;
	(void)mode;
	(void)err;
	fuzz_require(text_starts(path, PATHS_STATE "/"));
	*ret_changed = true;
	return 0;
}

static void must_be_within(const char *path)
{
	fuzz_require(text_starts(path, FOLDER));
	path += strlen(FOLDER);
	fuzz_require(path[0] == '\0' || (path[0] == '/' && !strchr(path + 1, '/')));
	fuzz_require(strcmp(path, "/..") != 0 && strcmp(path, "/.") != 0);
}

int __wrap_root_open_at(const struct root *in, const char *path, int flags, mode_t mode,
			struct error *err)
{
	(void)in;
	(void)mode;
	(void)err;
	if ((flags & O_ACCMODE) != O_RDONLY)
		must_be_within(path);
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int __wrap_root_mkdir(const struct root *in, const char *path, mode_t mode,
		      struct error *err)
{
	(void)in;
	(void)mode;
	(void)err;
	if (strcmp(path, PATHS_STATE) != 0)
		must_be_within(path);
	return 0;
}

int __wrap_root_remove_tree(const struct root *in, const char *path, struct error *err)
{
	(void)in;
	(void)err;
	must_be_within(path);
	return 0;
}

int __wrap_root_rename(const struct root *in, const char *from, const char *to,
		       struct error *err)
{
	(void)in;
	(void)err;
	must_be_within(from);
	must_be_within(to);
	return 0;
}

int __wrap_root_unlink(const struct root *in, const char *path, struct error *err)
{
	(void)in;
	(void)err;
	must_be_within(path);
	return 0;
}

/* A descriptor that can be read and sought, as the steps want one. */
static int some_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("file", MFD_CLOEXEC);
	return fd;
}

static void read_list(void)
{
	static struct settings settings;
	cleanup_json struct json *http = json_build("{}");
	const struct transport transport = { .http = http };
	cleanup(repository_done) struct repository repository = { .count = 0 };
	struct error err = ERROR_INIT;

	settings_init(&settings);
	(void)text_copy(settings.driver.repository, sizeof(settings.driver.repository),
			"https://pulp.example/vgpu/");
	if (match_list(&settings.driver, &transport, &root, &channel, &repository, &err) <
	    0) {
		fuzz_require(fuzz_is_printable(err.text));
		return;
	}
	for (size_t i = 0; i < repository.count; i++)
		fuzz_require(repository.packages[i].kind != PACKAGE_NONE);
}

static void read_metadata(void)
{
	static struct settings settings, layered;
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	cleanup_json struct json *warnings = json_build("[]");
	struct error err = ERROR_INIT;

	settings_init(&settings);
	settings.metadata.config_drive = false;
	settings.metadata.metadata_service = true;
	if (metadata_read(&settings.metadata, &root, &channel, &metadata, &err) < 0)
		return;
	fuzz_require(fuzz_is_printable(metadata.detail));
	fuzz_require(fuzz_is_printable(metadata.token_source));
	settings_init(&layered);
	if (metadata.object &&
	    settings_read_metadata(&layered, metadata.object, warnings, &err) < 0)
		fuzz_require(err.code == ERROR_USAGE || err.code == ERROR_INTEGRITY);
}

static void read_token(void)
{
	cleanup_json struct json *check = NULL;
	struct error err = ERROR_INIT;
	char warning[256] = "", detail[256] = "";
	struct probe_server server;

	if (token_check(some_fd(), &channel, &check, &err) < 0)
		return;
	(void)token_is_suspect(check);
	if (token_accept(check, warning, sizeof(warning), &err) < 0)
		fuzz_require(err.code == ERROR_TOKEN && fuzz_is_printable(err.text));
	fuzz_require(fuzz_is_printable(warning));
	/* The same text as the answer about the servers, which the first one names. */
	(void)probe_license_servers(check, &channel, detail, sizeof(detail));
	fuzz_require(fuzz_is_printable(detail));
	probe_license_clock(check, &channel, &server);
	fuzz_require(fuzz_is_printable(server.detail));
}

/* Neither package manager is there: the root has no folder for programs. */
static void read_content(void)
{
	struct runner runner = { .cancel_fd = -1 };
	const struct unpack_input input = {
		.fd = some_fd(),
		.name = "NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip",
		.arch = "x86_64",
		.wanted = { PACKAGE_RUN, PACKAGE_NONE },
		.root = &root,
		.channel = &channel,
		.runner = &runner,
	};
	struct unpack_content content = { .kind = PACKAGE_NONE };
	struct error err = ERROR_INIT;

	if (unpack_inspect(&input, &content, &err) < 0) {
		fuzz_require(fuzz_is_printable(err.text));
		return;
	}
	fuzz_require(content.kind == PACKAGE_RUN || content.kind == PACKAGE_BUNDLE);
	fuzz_require(content.kind != PACKAGE_BUNDLE ||
		     content.member.kind == PACKAGE_RUN);
}

static void read_entry(void)
{
	static const char *const names[] = {
		"NVIDIA-GRID-Linux-KVM-525.105.14-525.105.17-528.89.zip",
		"NVIDIA-Linux-x86_64-525.105.17-grid.run",
		"nvidia-modules-525.105.17-6.1.0-13-amd64-open.tar.gz",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_json struct json *entry = NULL;
		struct error err = ERROR_INIT;
		bool modules = false;

		if (entry_read(&channel, some_fd(), names[i], &entry, &modules, &err) ==
		    0)
			fuzz_require(json_kind(entry) == JSON_KIND_OBJECT);
	}
}

static void read_hash(void)
{
	cleanup(fetch_result_done) struct fetch_result result = FETCH_RESULT_INIT;
	struct error err = ERROR_INIT;

	if (fetch_cache_hash(some_fd(), -1, "", &channel, &result, &err) == 0)
		fuzz_require(strlen(result.sha256) == PACKAGE_SHA256_SIZE - 1);
}

static void read_modules(void)
{
	struct prebuilt_content content = { .built = { .count = 0 } };
	struct error err = ERROR_INIT;

	if (prebuilt_unpack(&channel, &root, some_fd(), FOLDER, &content, &err) < 0)
		return;
	fuzz_require(content.built.count <= BUILD_MODULES_MAX);
	for (size_t i = 0; i < content.built.count; i++)
		must_be_within(content.built.modules[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(void) = {
		read_list,  read_metadata, read_token,   read_content,
		read_entry, read_hash,     read_modules,
	};

	if (size < 1)
		return 0;
	said = (struct span){ (const char *)data + 1, size - 1 };
	readers[data[0] % ARRAY_SIZE(readers)]();
	return 0;
}
