/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/text.h"
#include "model/paths.h"

#define MEMBER_NEW PATHS_CACHE "/.member"
#define MEMBER_MAX (8ull << 30) /* where the archive does not say */
#define TOOL_S 60

/* Version and architecture, each on a line, from the package manager's own tool. */
static int ask_tool(const struct unpack_input *input, struct unpack_content *content,
		    struct error *err)
{
	static const char *const deb[] = { "dpkg-deb", "-W",
					   "--showformat=${Version}\\n${Architecture}\\n",
					   "/proc/self/fd/3", NULL };
	static const char *const rpm[] = { "rpm",
					   "-qp",
					   "--nosignature",
					   "--queryformat=%{VERSION}\\n%{ARCH}\\n",
					   "/proc/self/fd/3",
					   NULL };
	const char *const *words = content->kind == PACKAGE_DEB ? deb : rpm;
	cleanup(run_result_done) struct run_result result = { 0 };
	struct span rest, version = { "", 0 }, arch = { "", 0 };
	char program[128];
	const char *argv[] = { program, words[1], words[2], words[3], words[4], NULL };
	struct run run = {
		.argv = argv,
		.timeout_s = TOOL_S,
		.output_limit = 4096,
		.fds = &input->fd,
		.fd_count = 1,
	};

	if (!run_find(input->root, words[0], program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES,
				 "%s is a .%s and %s is not installed", input->name,
				 package_kind_name(content->kind), words[0]);
	if (run_question(input->runner, input->root, &run, RUN_STATUS_MAX, &result, err) <
	    0)
		return error_prefix(err, "asking what %s is", input->name);
	if (result.status != 0)
		return error_set(err, ERROR_INTEGRITY, "%s: %s cannot read it",
				 input->name, words[0]);

	rest = (struct span){ .at = result.output, .len = result.size };
	(void)span_next_line(&rest, &version);
	(void)span_next_line(&rest, &arch);
	member_version(span_trim(version), content->version);
	member_arch(span_trim(arch), content->arch, sizeof(content->arch));
	return 0;
}

static void take_words(struct unpack_content *content)
{
	(void)text_copy(content->version, sizeof(content->version),
			content->member.version);
	(void)text_copy(content->arch, sizeof(content->arch), content->member.arch);
}

/*
 * Chooses the bundle's member for this guest: one of the first kind in `wanted` that the
 * bundle has for the guest's architecture. Two members of that kind are an error.
 */
static int choose_member(const struct unpack_input *input, const struct json *members,
			 struct unpack_content *content, struct error *err)
{
	struct member_wish wish = { .bundle = input->name, .arch = input->arch };

	memcpy(wish.kinds, input->wanted, sizeof(wish.kinds));
	if (member_choose(members, &wish, &content->member, err) < 0)
		return -1;
	take_words(content);
	return 0;
}

void unpack_content_of(const struct member *member, struct unpack_content *ret_content)
{
	*ret_content = (struct unpack_content){ .kind = member->kind, .member = *member };
	take_words(ret_content);
}

static int check_arch(const struct unpack_input *input,
		      const struct unpack_content *content, struct error *err)
{
	if (member_fits_arch(content->arch, input->arch))
		return 0;
	return error_set(err, ERROR_NO_MATCH, "%s is for %s, this guest is %s",
			 input->name, content->arch, input->arch);
}

int unpack_inspect(const struct unpack_input *input, struct unpack_content *ret_content,
		   struct error *err)
{
	struct unpack_content content = { .kind = PACKAGE_NONE };
	cleanup_json struct json *request =
		json_build("{s:s, s:i, s:o}", "job", "inspect", "input",
			   CHANNEL_FIRST_FILE, "name", json_words(input->name));
	cleanup_json struct json *answer = NULL;

	if (!request)
		return error_set_errno(err, ENOMEM, "looking into %s", input->name);
	if (lseek(input->fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "looking into %s", input->name);
	if (channel_call(input->channel, request, &input->fd, 1, &answer, err) < 0)
		return -1;

	content.kind = package_kind_named(json_get_string(answer, "kind"));
	member_version(span_of(json_get_words(answer, "version")), content.version);
	member_arch(span_of(json_get_words(answer, "arch")), content.arch,
		    sizeof(content.arch));
	if (content.kind == PACKAGE_NONE)
		return error_set(err, ERROR_INTEGRITY, "%s is no driver package",
				 input->name);
	if (content.kind == PACKAGE_BUNDLE &&
	    choose_member(input, json_get(answer, "members"), &content, err) < 0)
		return -1;
	if ((content.kind == PACKAGE_DEB || content.kind == PACKAGE_RPM) &&
	    ask_tool(input, &content, err) < 0)
		return -1;
	if (check_arch(input, &content, err) < 0)
		return -1;

	*ret_content = content;
	return 0;
}

/* Unpacks into `fd`; the worker has hashed what it wrote. */
static int ask_worker(const struct unpack_input *input,
		      const struct unpack_content *content, int fd,
		      char ret_sha256[static PACKAGE_SHA256_SIZE], struct error *err)
{
	uint64_t size = content->member.size ? content->member.size : MEMBER_MAX;
	const int fds[] = { input->fd, fd };
	cleanup_json struct json *request =
		json_build("{s:s, s:i, s:i, s:o, s:I}", "job", "unpack", "input",
			   CHANNEL_FIRST_FILE, "output", CHANNEL_FIRST_FILE + 1, "member",
			   json_words(content->member.name), "max_size", (int64_t)size);
	cleanup_json struct json *answer = NULL;
	const char *sha256;

	if (!request)
		return error_set_errno(err, ENOMEM, "unpacking %s", content->member.name);
	if (lseek(input->fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "unpacking %s", input->name);
	if (channel_call(input->channel, request, fds, 2, &answer, err) < 0)
		return -1;

	sha256 = json_get_words(answer, "sha256");
	if (!package_sha256(span_of(sha256), ret_sha256))
		return error_set(err, ERROR_INTERNAL,
				 "the worker names no checksum of %s",
				 content->member.name);
	return 0;
}

static int write_member(const struct unpack_input *input,
			const struct unpack_content *content, char *ret_path, size_t size,
			struct error *err)
{
	char sha256[PACKAGE_SHA256_SIZE];
	cleanup_fd int fd = root_open_at(input->root, MEMBER_NEW,
					 O_RDWR | O_CREAT | O_EXCL, 0600, err);

	if (fd < 0 || ask_worker(input, content, fd, sha256, err) < 0)
		return -1;
	if (fsync(fd) < 0)
		return error_set_errno(err, errno, "unpacking %s", content->member.name);
	if (!text_format(ret_path, size, PATHS_CACHE "/%s.%s", sha256,
			 package_kind_name(content->member.kind)))
		return error_set_errno(err, ENAMETOOLONG, "naming %s",
				       content->member.name);
	return root_rename(input->root, MEMBER_NEW, ret_path, err);
}

int unpack_member(const struct unpack_input *input, const struct unpack_content *content,
		  char *ret_path, size_t size, struct error *err)
{
	struct error ignored = ERROR_INIT;
	int result;

	if (root_mkdir(input->root, PATHS_CACHE, 0700, err) < 0 ||
	    room_check(input->root, PATHS_CACHE, content->member.size, err) < 0 ||
	    root_unlink(input->root, MEMBER_NEW, err) < 0)
		return -1;

	result = write_member(input, content, ret_path, size, err);
	if (result < 0 && root_unlink(input->root, MEMBER_NEW, &ignored) < 0)
		return -1;
	return result;
}

int unpack_discard(const struct root *root, struct error *err)
{
	static const char *const folders[] = { PATHS_TREE, PATHS_TREE_NEW,
					       PATHS_INSTALLER };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (root_remove_tree(root, folders[i], err) < 0)
			return -1;
	}
	return 0;
}
