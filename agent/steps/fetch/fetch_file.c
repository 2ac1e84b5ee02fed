/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/fetch/fetch.h that brings the file: from the cache, a folder or a
 * server.
 */

#include "steps/fetch/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "model/paths.h"
#include "steps/fetch/fetch_cache.h"
#include "steps/fetch/fetch_member.h"
#include "steps/fetch/transport_for.h"

static bool final_path(const struct fetch_input *input, const char *sha256, char *path,
		       size_t size)
{
	return text_format(path, size, PATHS_CACHE "/%s.%s", sha256, fetch_suffix(input));
}

/*
 * What the cache holds under the expected name counts only after its bytes did. 1: taken;
 * 0: not there, or discarded because it is not what its name says; -1: interrupted.
 */
static int take_cached(const struct fetch_input *input, const struct root *root,
		       const struct channel *channel, struct fetch_result *result,
		       struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_fd int fd = -1;

	if (!input->package->sha256[0] || !final_path(input, input->package->sha256,
						      result->path, sizeof(result->path)))
		return 0;
	fd = root_open_at(root, result->path, O_RDONLY | O_NOFOLLOW, 0, &why);
	if (fd < 0)
		return 0;
	if (fetch_cache_hash(fd, -1, input->package->sha256, channel, result, &why) < 0) {
		if (why.interrupted) {
			*err = why;
			return -1;
		}
		root_discard(root, result->path);
		return 0;
	}
	result->bytes_transferred = 0;
	result->integrity = fetch_foresee(input);
	result->fd = take_fd(fd);
	return 1;
}

/*
 * The job "fetch" of the worker: bytes past the expected size end the download, so that
 * a server cannot fill the disk.
 */
static int ask_for_download(const struct fetch_input *input,
			    const struct transport *transport, int output_fd,
			    const struct channel *channel, struct json **ret_answer,
			    struct error *err)
{
	const struct package *package = input->package;
	int fds[TRANSPORT_FDS_MAX + 1];
	int number = CHANNEL_FIRST_FILE + (int)transport->fd_count;
	uint64_t limit = package->size ? package->size : FETCH_SIZE_MAX;
	cleanup(transport_for_done) struct transport_for part = TRANSPORT_FOR_INIT;
	cleanup_json struct json *request = NULL;

	if (transport_for(transport, input->url, &part, err) < 0)
		return -1;
	request = json_build("{s:s, s:s, s:i, s:I, s:O}", "job", "fetch", "url",
			     input->url, "output", number, "max_size", (int64_t)limit,
			     "http", part.transport.http);
	if (!request ||
	    (package->size &&
	     json_set(request, "size", json_build("I", (int64_t)package->size)) < 0) ||
	    (package->sha256[0] &&
	     json_set(request, "sha256", json_build("s", package->sha256)) < 0))
		return error_set_errno(err, ENOMEM, "asking the worker");

	memcpy(fds, part.transport.fds, transport->fd_count * sizeof(fds[0]));
	fds[transport->fd_count] = output_fd;
	return channel_call(channel, request, fds, transport->fd_count + 1, ret_answer,
			    err);
}

/* Only what can be resumed is kept: named by the hash that it will have. */
static void partial_path(const struct fetch_input *input, char *path, size_t size)
{
	text_path(path, size, PATHS_CACHE "/%s" FETCH_PARTIAL,
		  input->package->sha256[0] ? input->package->sha256 : "unnamed");
}

static int give_final_name(const struct fetch_input *input, const struct root *root,
			   const char *partial, struct fetch_result *result,
			   struct error *err)
{
	if (!final_path(input, result->sha256, result->path, sizeof(result->path)))
		return error_set_errno(err, ENAMETOOLONG, "naming the file");
	return root_rename(root, partial, result->path, err);
}

/* A bad partial file must not be the reason for a second failure, nor an empty one stay.
 */
static void drop_partial(const struct root *root, const char *partial, int fd, bool keep)
{
	struct stat st;

	if (!keep || (fstat(fd, &st) == 0 && st.st_size == 0))
		root_discard(root, partial);
}

/*
 * Room first, then the download into the partial file, then what vouches for the bytes,
 * and the final name last: a file under a final name is whole and was judged.
 */
static int download(const struct fetch_input *input, const struct transport *transport,
		    const struct root *root, const struct channel *channel,
		    struct fetch_result *result, struct error *err)
{
	bool keep = input->package->sha256[0] != '\0';
	cleanup_json struct json *answer = NULL;
	cleanup_fd int fd = -1;
	char partial[PACKAGE_NAME_MAX];
	struct stat st;

	partial_path(input, partial, sizeof(partial));
	fd = fetch_cache_open(root, partial, keep, err);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && input->package->size > (uint64_t)st.st_size &&
	    fetch_cache_room(root, input->package->size - (uint64_t)st.st_size, err) <
		    0) {
		drop_partial(root, partial, fd, keep);
		return -1;
	}
	if (ask_for_download(input, transport, fd, channel, &answer, err) < 0) {
		drop_partial(root, partial, fd, keep && err->code != ERROR_INTEGRITY);
		return -1;
	}
	if (fetch_cache_answer(answer, input->package->sha256, input->package->size,
			       result, err) < 0) {
		root_discard(root, partial);
		return -1;
	}
	result->integrity = fetch_vouch(input, json_get_bool(answer, "verified", false));
	if (fetch_judge(input, result->integrity, err) < 0 ||
	    give_final_name(input, root, partial, result, err) < 0) {
		root_discard(root, partial);
		return -1;
	}
	result->fd = take_fd(fd);
	return 0;
}

/* The path of file:///path (RFC 8089), percent-decoded. */
static int local_path(const char *url, char *path, size_t size, struct error *err)
{
	const char *from = url + strlen("file://");
	size_t used = 0;

	if (text_starts(from, "localhost/"))
		from += strlen("localhost");
	if (*from != '/')
		return error_set(err, ERROR_USAGE, "%s names another host", url);

	for (; *from && used + 1 < size; from++) {
		int high = *from == '%' ? text_hex_value(from[1]) : -1;
		int low = high >= 0 ? text_hex_value(from[2]) : -1;

		if (low >= 0 && high + low > 0) {
			path[used++] = (char)(high * 16 + low);
			from += 2;
		} else {
			path[used++] = *from;
		}
	}
	path[used] = '\0';
	return *from ? error_set(err, ERROR_USAGE, "%s is too long", url) : 0;
}

/* Hashes the file `fd` while it is copied into the cache, then gives the copy its name.
 */
static int copy_local(const struct fetch_input *input, int fd, const struct root *root,
		      const struct channel *channel, struct fetch_result *result,
		      struct error *err)
{
	static const char partial[] = PATHS_CACHE "/local" FETCH_PARTIAL;
	cleanup_fd int out = fetch_cache_open(root, partial, false, err);
	struct stat st;

	if (out < 0)
		return -1;
	if (fstat(fd, &st) == 0 && fetch_cache_room(root, (uint64_t)st.st_size, err) < 0)
		return -1;
	if (fetch_cache_hash(fd, out, input->package->sha256, channel, result, err) < 0 ||
	    give_final_name(input, root, partial, result, err) < 0) {
		root_discard(root, partial);
		return -1;
	}
	result->fd = take_fd(out);
	return 0;
}

/*
 * A local bundle is only hashed and stays where it lies; any other local file is copied
 * into the cache, so that nobody changes the file between its check and its execution.
 */
static int take_local(const struct fetch_input *input, const struct root *root,
		      const struct channel *channel, struct fetch_result *result,
		      struct error *err)
{
	char path[SETTINGS_URL_MAX];
	cleanup_fd int fd = -1;
	struct stat st;

	if (local_path(input->url, path, sizeof(path), err) < 0)
		return -1;
	fd = root_open_at(input->root, path, O_RDONLY | O_NONBLOCK, 0, err);
	if (fd < 0)
		return error_recode(err, err->code == ERROR_PERMISSION ? ERROR_PERMISSION
								       : ERROR_NETWORK);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_USAGE, "%s is no regular file", path);

	result->integrity = fetch_vouch(input, false);
	if (strcmp(fetch_suffix(input), "zip") != 0)
		return copy_local(input, fd, root, channel, result, err);

	result->path[0] = '\0';
	if (fetch_cache_hash(fd, -1, input->package->sha256, channel, result, err) < 0)
		return -1;
	result->fd = take_fd(fd);
	return 0;
}

/* From a server: what the cache has, of a bundle its member, else the file itself. */
static int take_remote(const struct fetch_input *input, const struct transport *transport,
		       const struct root *root, const struct channel *channel,
		       struct fetch_result *result, struct error *err)
{
	bool bundle = input->wish.bundle && strcmp(fetch_suffix(input), "zip") == 0;
	uint64_t spent = 0;
	int done = bundle ? fetch_member_cached(input, root, channel, result, err) : 0;

	if (done == 0)
		done = take_cached(input, root, channel, result, err);
	if (done == 0 && bundle) {
		done = fetch_member(input, transport, root, channel, result, err);
		spent = result->bytes_transferred;
	}
	if (done != 0)
		return done;
	if (download(input, transport, root, channel, result, err) < 0)
		return -1;
	result->bytes_transferred += spent;
	return 0;
}

int fetch_file(const struct fetch_input *input, const struct transport *transport,
	       const struct root *root, const struct channel *channel,
	       struct fetch_result *ret_result, struct error *err)
{
	struct fetch_result result = FETCH_RESULT_INIT;
	int done;

	if (fetch_check(input, err) < 0)
		return -1;
	done = fetch_is_local(input)
		       ? take_local(input, root, channel, &result, err)
		       : take_remote(input, transport, root, channel, &result, err);
	if (done < 0) {
		fetch_result_done(&result);
		/* What the list promised may have been another publication's; what the
		 * operator pinned was not. */
		if (err->code == ERROR_INTEGRITY && !fetch_is_local(input) &&
		    !input->pinned)
			(void)error_passing(err, true);
		if (err->errnum == ENOSPC || err->errnum == EDQUOT) {
			(void)error_prefix(err, PATHS_CACHE);
			(void)error_hint(err, "make room on that file system");
		}
		return -1;
	}
	result.bytes_transferred = fetch_is_local(input) ? 0 : result.bytes_transferred;
	*ret_result = result;
	return 0;
}
