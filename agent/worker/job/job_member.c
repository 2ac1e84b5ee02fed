/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/text.h"
#include "worker/bundle/bundle_stream.h"
#include "worker/bundle/member_take.h"
#include "worker/job/job.h"

static uint64_t number(const struct json *object, const char *key)
{
	int64_t value = json_get_int(object, key, 0);

	return value > 0 ? (uint64_t)value : 0;
}

static void read_entry(const struct json *json, struct member_entry *ret_entry)
{
	*ret_entry = (struct member_entry){
		.name = json_get_string(json, "name"),
		.sha256 = json_get_words(json, "sha256"),
		.offset = number(json, "offset"),
		.compressed_size = number(json, "compressed_size"),
		.size = number(json, "size"),
		.method = (uint16_t)json_get_int(json, "method", 0),
	};
}

static struct member_take read_request(const struct json *request, struct remote *remote)
{
	struct member_take take = {
		.remote = remote,
		.url = json_get_words(request, "url"),
		.output = (int)json_get_int(request, "output", -1),
		.note = (int)json_get_int(request, "note", -1),
		.sha256 = json_get_words(request, "sha256"),
		.size = number(request, "size"),
		.max_size = number(request, "max_size"),
		.max_member = number(request, "max_member"),
	};

	if (take.size && take.size < take.max_size)
		take.max_size = take.size;
	member_wish_read(json_get(request, "wish"), &take.wish);
	read_entry(json_get(request, "entry"), &take.entry);
	return take;
}

static struct json *member_json(const struct member *member)
{
	return json_build("{s:o, s:s, s:s, s:s, s:I}", "name", json_words(member->name),
			  "kind", package_kind_name(member->kind), "version",
			  member->version, "arch", member->arch, "size",
			  (int64_t)member->size);
}

static int answer(const struct member_take *take, const char *transfer, const char *why,
		  struct json **ret_result, struct error *err)
{
	*ret_result = json_build("{s:s, s:o, s:I, s:s, s:I, s:b, s:o}", "transfer",
				 transfer, "member", member_json(&take->member), "size",
				 (int64_t)take->found_size, "sha256", take->found,
				 "bytes_transferred", (int64_t)take->received, "verified",
				 !take->unverified, "why", json_words_or_null(why));
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "answering");
}

/* After bytes that are not the promised ones only a sum of the whole can tell more. */
static bool whole_may_help(const struct member_take *take, const struct error *err)
{
	return err->errnum == ERANGE ||
	       (err->code == ERROR_INTEGRITY && take->sha256[0] != '\0');
}

int job_member(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup_remote struct remote *remote = NULL;
	struct error why = ERROR_INIT;
	struct member_take take;

	if (remote_open(request, &remote, err) < 0)
		return -1;
	take = read_request(request, remote);

	if (json_get_bool(request, "ranges", false)) {
		if (member_part_take(&take, &why) == 0)
			return answer(&take, "member", "", ret_result, err);
		if (!whole_may_help(&take, &why)) {
			*err = why;
			return -1;
		}
	}
	if (member_whole_take(&take, err) == 0)
		return answer(&take, "whole", why.text, ret_result, err);
	if (err->errnum != BUNDLE_STREAM_NOT)
		return -1;
	return answer(&take, "spool", err->text, ret_result, err);
}
