/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/fetch_member.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "model/url.h"
#include "steps/fetch/fetch_cache.h"
#include "steps/fetch/transport_for.h"

#define NOTE PATHS_CACHE "/member.json"
#define NOTE_MAX (64u << 10)
#define MEMBER_MAX (8ull << 30)
#define PATH_SIZE 160

/* What comes, and where the worker notes how far it is: only with an index's SHA-256. */
struct files {
	const struct root *root;
	char partial[PATH_SIZE], place[PATH_SIZE];
	int fds[2]; /* as above; the second is -1 without an index */
};

static void files_done(struct files *files)
{
	for (size_t i = 0; i < 2; i++) {
		if (files->fds[i] >= 0)
			(void)close(files->fds[i]);
	}
}

static bool same_json(const struct json *one, const struct json *other)
{
	cleanup_free char *a = json_print(one), *b = json_print(other);

	return a && b && strcmp(a, b) == 0;
}

static bool final_path(const struct fetch_result *result, char *path, size_t size)
{
	return text_format(path, size, PATHS_CACHE "/%s.%s", result->sha256,
			   package_kind_name(result->member.kind));
}

/*
 * What is foreign of a member is read as a list of one: so it is of a wanted kind, and
 * for this guest.
 */
static int read_member(const struct fetch_input *input, struct json *member,
		       struct member *ret_member, struct error *err)
{
	cleanup_json struct json *list = json_build("[o]", member);

	if (!list)
		return error_set_errno(err, ENOMEM, "reading what %s holds",
				       input->package->name);
	return member_choose(list, &input->wish, ret_member, err);
}

static struct json *member_json(const char *name, enum package_kind kind,
				const char *version, const char *arch, uint64_t size)
{
	return json_build("{s:o, s:s, s:s, s:s, s:I}", "name", json_words(name), "kind",
			  package_kind_name(kind), "version", version, "arch", arch,
			  "size", (int64_t)size);
}

/*
 * The name and what the bytes are is proven by the local header and the SHA-256; the rest
 * is read from the name, as it is in a bundle.
 */
static struct json *entry_json(const struct index_member *entry)
{
	struct package package;
	const char *why;

	if (!package_parse(span_of(entry->name), &package, &why))
		return json_build("{}");
	return member_json(entry->name, package.kind, package.version, package.arch,
			   entry->size);
}

/*
 * Of a bundle that was not hashed, and of whose member no index speaks, the connection
 * alone vouches for the bytes; a manifest that came the same way says which file it is.
 */
static enum fetch_integrity vouch_for_member(const struct fetch_input *input, bool hashed,
					     bool verified)
{
	if (!hashed && !input->entry && !verified)
		return FETCH_NONE;
	return fetch_vouch(input, verified);
}

/*
 * A note counts for the same bundle and the same wish. Of a bundle that was not hashed
 * itself it says less than a pin or a manifest asks for.
 */
static bool note_fits(const struct fetch_input *input, const struct json *note,
		      enum fetch_integrity *ret_integrity)
{
	bool hashed = json_get_bool(note, "hashed", false);
	const char *sha256 = input->package->sha256;
	char shown[SETTINGS_URL_MAX];
	cleanup_json struct json *wish = member_wish_json(&input->wish);
	struct error ignored = ERROR_INIT;

	if (!wish || !same_json(json_get(note, "wish"), wish) || !sha256[0] ||
	    strcmp(sha256, json_get_words(note, "bundle_sha256")) != 0)
		return false;
	if (!hashed && (fetch_transfer(input) != TRANSFER_MEMBER ||
			strcmp(url_redact(input->url, shown, sizeof(shown)),
			       json_get_words(note, "url")) != 0))
		return false;
	*ret_integrity =
		vouch_for_member(input, hashed, json_get_bool(note, "verified", false));
	return fetch_judge(input, *ret_integrity, &ignored) == 0;
}

static int read_note(const struct fetch_input *input, const struct root *root,
		     struct fetch_result *result, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_json struct json *note = NULL;
	size_t size;

	if (file_read(root, NOTE, NOTE_MAX, &text, &size, err) < 0 ||
	    json_parse(text, size, &note, err) < 0)
		return -1;
	if (!note_fits(input, note, &result->integrity))
		return error_set(err, ERROR_INTEGRITY, "the note is of another bundle");
	if (read_member(input, json_take(note, "member"), &result->member, err) < 0)
		return -1;
	if (!package_sha256(span_of(json_get_words(note, "sha256")), result->sha256))
		return error_set(err, ERROR_INTEGRITY, "the note has no hash");
	return 0;
}

static int look_up(const struct fetch_input *input, const struct root *root,
		   struct fetch_result *result, struct error *err)
{
	const struct index_member *entry = input->entry;

	if (!entry || input->pinned)
		return read_note(input, root, result, err);
	if (read_member(input, entry_json(entry), &result->member, err) < 0)
		return -1;
	(void)text_copy(result->sha256, sizeof(result->sha256), entry->sha256);
	result->integrity = fetch_foresee(input);
	return 0;
}

int fetch_member_cached(const struct fetch_input *input, const struct root *root,
			const struct channel *channel, struct fetch_result *result,
			struct error *err)
{
	struct fetch_result found = FETCH_RESULT_INIT;
	struct error why = ERROR_INIT;
	char sha256[PACKAGE_SHA256_SIZE];
	cleanup_fd int fd = -1;

	if (look_up(input, root, &found, &why) < 0 ||
	    !final_path(&found, found.path, sizeof(found.path)))
		return 0;
	fd = root_open_at(root, found.path, O_RDONLY | O_NOFOLLOW, 0, &why);
	if (fd < 0)
		return 0;
	memcpy(sha256, found.sha256, sizeof(sha256));
	if (fetch_cache_hash(fd, -1, sha256, channel, &found, &why) < 0) {
		if (why.interrupted) {
			*err = why;
			return -1;
		}
		root_discard(root, found.path);
		return 0;
	}
	found.bytes_transferred = 0;
	found.fd = take_fd(fd);
	*result = found;
	return 1;
}

/*
 * Opens the partial file, with an index also the note of how far it is, and makes sure
 * of room on the disk before the first byte.
 */
static int files_open(const struct fetch_input *input, struct files *files,
		      struct error *err)
{
	const struct index_member *entry = input->entry;
	struct stat st;

	text_path(files->partial, sizeof(files->partial), PATHS_CACHE "/%s" FETCH_PARTIAL,
		  entry ? entry->sha256 : "member");
	text_path(files->place, sizeof(files->place), PATHS_CACHE "/%s.place",
		  entry ? entry->sha256 : "member");
	files->fds[0] = fetch_cache_open(files->root, files->partial, entry, err);
	if (files->fds[0] < 0)
		return -1;
	if (!entry)
		return 0;
	files->fds[1] = fetch_cache_open(files->root, files->place, true, err);
	if (files->fds[1] < 0)
		return -1;
	if (fstat(files->fds[0], &st) == 0 && entry->size > (uint64_t)st.st_size)
		return fetch_cache_room(files->root, entry->size - (uint64_t)st.st_size,
					err);
	return 0;
}

/* A bad partial file must not be the reason for a second failure, nor an empty one stay.
 */
static void files_drop(const struct files *files, bool keep)
{
	struct stat st;

	if (keep && fstat(files->fds[0], &st) == 0 && st.st_size > 0)
		return;
	root_discard(files->root, files->partial);
	root_discard(files->root, files->place);
}

/* Adds size and hash of the bundle, from the manifest, and the place of its member, from
 * the index, as far as they are known. */
static int add_known(const struct fetch_input *input, int number, struct json *request)
{
	const struct package *package = input->package;
	const struct index_member *entry = input->entry;

	if (package->size &&
	    json_set(request, "size", json_build("I", (int64_t)package->size)) < 0)
		return -1;
	if (package->sha256[0] &&
	    json_set(request, "sha256", json_build("s", package->sha256)) < 0)
		return -1;
	if (!entry)
		return 0;
	if (json_set(request, "note", json_build("i", number + 1)) < 0)
		return -1;
	return json_set(request, "entry",
			json_build("{s:o, s:I, s:i, s:I, s:I, s:s}", "name",
				   json_words(entry->name), "offset",
				   (int64_t)entry->offset, "method", (int)entry->method,
				   "compressed_size", (int64_t)entry->compressed_size,
				   "size", (int64_t)entry->size, "sha256",
				   entry->sha256));
}

static int ask_for_member(const struct fetch_input *input,
			  const struct transport *transport, const struct files *files,
			  const struct channel *channel, struct json **ret_answer,
			  struct error *err)
{
	const struct package *package = input->package;
	size_t count = transport->fd_count;
	int number = CHANNEL_FIRST_FILE + (int)count;
	uint64_t limit = package->size ? package->size : FETCH_SIZE_MAX;
	int fds[TRANSPORT_FDS_MAX + 2];
	cleanup(transport_for_done) struct transport_for part = TRANSPORT_FOR_INIT;
	cleanup_json struct json *request = NULL;

	if (transport_for(transport, input->url, &part, err) < 0)
		return -1;
	request = json_build("{s:s, s:s, s:i, s:b, s:I, s:I, s:o, s:O}", "job", "member",
			     "url", input->url, "output", number, "ranges",
			     fetch_transfer(input) == TRANSFER_MEMBER, "max_size",
			     (int64_t)limit, "max_member", (int64_t)MEMBER_MAX, "wish",
			     member_wish_json(&input->wish), "http", part.transport.http);
	if (!request || add_known(input, number, request) < 0)
		return error_set_errno(err, ENOMEM, "asking the worker");

	memcpy(fds, part.transport.fds, count * sizeof(fds[0]));
	memcpy(fds + count, files->fds, sizeof(files->fds));
	return channel_call(channel, request, fds, count + (files->fds[1] >= 0 ? 2 : 1),
			    ret_answer, err);
}

/* The index is not asked again by the worker: what it says of the member is the answer.
 */
static int read_answer(const struct fetch_input *input, struct json *answer,
		       struct fetch_result *result, struct error *err)
{
	const char *transfer = json_get_words(answer, "transfer");
	bool by_entry = input->entry && strcmp(transfer, "member") == 0;

	(void)text_format(result->why, sizeof(result->why), "%.190s",
			  json_get_words(answer, "why"));
	text_sanitize(result->why);
	result->bytes_transferred =
		(uint64_t)json_get_int(answer, "bytes_transferred", 0);
	if (strcmp(transfer, "spool") == 0)
		return 0;
	if (fetch_cache_answer(answer, by_entry ? input->entry->sha256 : "", 0, result,
			       err) < 0)
		return -1;
	if (read_member(input,
			by_entry ? entry_json(input->entry) : json_take(answer, "member"),
			&result->member, err) < 0)
		return -1;
	result->integrity = vouch_for_member(input, strcmp(transfer, "whole") == 0,
					     json_get_bool(answer, "verified", false));
	return fetch_judge(input, result->integrity, err) < 0 ? -1 : 1;
}

/*
 * Written after the file has its final name: a note without its file is harmless, a file
 * without its note is fetched again.
 */
static int write_note(const struct fetch_input *input, const struct json *answer,
		      const struct root *root, const struct fetch_result *result,
		      struct error *err)
{
	const struct member *member = &result->member;
	bool whole = strcmp(json_get_words(answer, "transfer"), "whole") == 0;
	char shown[SETTINGS_URL_MAX];
	cleanup_json struct json *note = json_build(
		"{s:s, s:I, s:s, s:b, s:b, s:s, s:o, s:o}", "url",
		url_redact(input->url, shown, sizeof(shown)), "bundle_size",
		(int64_t)input->package->size, "bundle_sha256", input->package->sha256,
		"hashed", whole && input->package->sha256[0], "verified",
		json_get_bool(answer, "verified", false), "sha256", result->sha256,
		"member",
		member_json(member->name, member->kind, member->version, member->arch,
			    member->size),
		"wish", member_wish_json(&input->wish));
	cleanup_free char *text = note ? json_print(note) : NULL;

	if (!text)
		return error_set_errno(err, ENOMEM, "writing " NOTE);
	return file_write_atomic(root, NOTE, text, strlen(text), 0600, err);
}

static int give_final_name(const struct fetch_input *input, const struct json *answer,
			   const struct files *files, struct fetch_result *result,
			   struct error *err)
{
	if (!final_path(result, result->path, sizeof(result->path)))
		return error_set_errno(err, ENAMETOOLONG, "naming the file");
	if (root_rename(files->root, files->partial, result->path, err) < 0 ||
	    write_note(input, answer, files->root, result, err) < 0)
		return -1;
	root_discard(files->root, files->place);
	return 0;
}

int fetch_member(const struct fetch_input *input, const struct transport *transport,
		 const struct root *root, const struct channel *channel,
		 struct fetch_result *result, struct error *err)
{
	cleanup(files_done) struct files files = { .root = root, .fds = { -1, -1 } };
	cleanup_json struct json *answer = NULL;
	int done;

	if (files_open(input, &files, err) < 0 ||
	    ask_for_member(input, transport, &files, channel, &answer, err) < 0) {
		files_drop(&files, input->entry && err->code != ERROR_INTEGRITY);
		return -1;
	}
	done = read_answer(input, answer, result, err);
	if (done > 0 && give_final_name(input, answer, &files, result, err) < 0)
		done = -1;
	if (done <= 0) {
		files_drop(&files, false);
		return done;
	}
	result->fd = take_fd(files.fds[0]);
	return 1;
}
