/* SPDX-License-Identifier: Apache-2.0 */

/* The part of worker/bundle/member_take.h that asks for ranges. */

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "worker/bundle/bundle_choice.h"
#include "worker/bundle/bundle_part.h"
#include "worker/bundle/bundle_remote.h"
#include "worker/bundle/member_take.h"
#include "worker/meter.h"

#define TRIES 2 /* what came is wrong, or the bundle was replaced meanwhile */

/* One try: from the socket through meter, part and digest to the file. */
struct attempt {
	struct member_take *take;
	struct bundle_remote remote;
	struct bundle bundle;
	struct bundle_member member;
	struct bundle_part part;
	struct digest digest;
	struct sink_file file;
	struct meter meter;
	struct sink noting; /* between meter and part */
	struct member_note note;
	bool noted; /* `note` waits for the output to reach it */
};

static void attempt_done(struct attempt *attempt)
{
	bundle_part_done(&attempt->part);
	bundle_done(&attempt->bundle);
	bundle_remote_done(&attempt->remote);
	digest_done(&attempt->digest);
	sink_file_done(&attempt->file);
}

static bool has_entry(const struct member_take *take)
{
	return take->entry.name != NULL;
}

static void member_of_entry(struct attempt *attempt)
{
	const struct member_take *take = attempt->take;
	const struct member_entry *entry = &take->entry;

	attempt->member = (struct bundle_member){
		.name = span_of(entry->name),
		.offset = entry->offset,
		.end = take->size ? take->size : UINT64_MAX,
		.compressed_size = entry->compressed_size,
		.size = entry->size,
		.method = entry->method,
	};
}

/* The bundle's own directory says which member it is and where it lies. */
static int find_member(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	const struct bundle_member *found;

	if (bundle_remote_begin(&attempt->remote, take->remote, take->url, take->size,
				err) < 0 ||
	    bundle_open(&attempt->remote.source, &attempt->bundle, err) < 0 ||
	    bundle_choice_make(&attempt->bundle, &take->wish, &take->member, &found,
			       err) < 0)
		return -1;
	attempt->member = *found;
	return 0;
}

static int check_entry(const struct attempt *attempt, struct error *err)
{
	const struct bundle_member *member = &attempt->member;

	if (member->size > attempt->take->max_member)
		return error_set(err, ERROR_INTEGRITY,
				 "the member is larger than it may be");
	if (member->offset >= member->end)
		return error_set(err, ERROR_INTEGRITY, "the member lies outside of it");
	return 0;
}

/*
 * What an earlier process unpacked is hashed again; the bytes before its last point are
 * what deflated data refer to.
 */
static int resume(struct attempt *attempt, const struct member_note *note,
		  struct error *err)
{
	char window[INFLATE_WINDOW];
	uint64_t out = note->point.out;
	size_t size = out < sizeof(window) ? (size_t)out : sizeof(window), got;

	if (file_read_at(attempt->take->output, out - size, window, size, &got, err) < 0)
		return error_prefix(err, "the partial file");
	if (got < size)
		return error_set(err, ERROR_INTEGRITY, "the partial file is too short");
	if (digest_read_fd(&attempt->digest, attempt->take->output, out, err) < 0)
		return -1;
	return bundle_part_resume(&attempt->part, (size_t)note->header, &note->point,
				  (struct span){ window, size }, err);
}

/* The note, when the output is as far as it says and the member is the same. */
static bool may_resume(const struct attempt *attempt, struct member_note *ret_note)
{
	const struct member_take *take = attempt->take;
	const struct member_entry *entry = &take->entry;
	struct stat st;

	return has_entry(take) && member_note_read(take->note, ret_note) &&
	       ret_note->offset == entry->offset &&
	       ret_note->compressed_size == entry->compressed_size &&
	       ret_note->point.out <= entry->size && fstat(take->output, &st) == 0 &&
	       (uint64_t)st.st_size >= ret_note->point.out;
}

/* A note counts for another process only once the output is as far. */
static int note_write(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct attempt *attempt =
		(struct attempt *)(void *)((char *)sink -
					   offsetof(struct attempt, noting));
	const struct inflate_point *point = &attempt->part.inflate.point;

	if (sink_write(sink->next, data, size, err) < 0)
		return -1;
	if (!attempt->noted && point->out > attempt->note.point.out) {
		attempt->note.header = attempt->part.header;
		attempt->note.point = *point;
		attempt->noted = true;
	}
	if (attempt->noted &&
	    sink_file_written(&attempt->file) >= attempt->note.point.out) {
		member_note_write(attempt->take->note, &attempt->note);
		attempt->noted = false;
	}
	return 0;
}

/*
 * Goes on at the point of an earlier process where its note fits the member, else begins
 * anew with an empty output.
 */
static int begin_part(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	struct bundle_member *member = &attempt->member;
	struct member_note note = { .offset = 0 };
	bool again = may_resume(attempt, &note);
	uint64_t first, end;

	attempt->note = (struct member_note){ .offset = member->offset,
					      .compressed_size = member->compressed_size,
					      .point = { .out = note.point.out } };
	if (sink_file_begin(&attempt->file, take->output, again ? note.point.out : 0,
			    err) < 0 ||
	    sink_file_reserve(&attempt->file, member->size, err) < 0 ||
	    digest_begin(&attempt->digest, &attempt->file.sink, err) < 0 ||
	    bundle_part_begin(&attempt->part, member, has_entry(take),
			      &attempt->digest.sink, err) < 0)
		return -1;
	attempt->noting =
		(struct sink){ .write = note_write, .next = &attempt->part.sink };
	if (again && resume(attempt, &note, err) < 0)
		return -1;
	if (bundle_part_wants(&attempt->part, &first, &end))
		meter_begin(&attempt->meter, first - member->offset, end - member->offset,
			    &attempt->noting);
	return 0;
}

static int receive(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	struct http_request request = {
		.url = take->url,
		.total = attempt->remote.source.size ? attempt->remote.source.size
						     : take->size,
		.resume = true,
	};
	struct http_answer answer;

	while (bundle_part_wants(&attempt->part, &request.first, &request.end)) {
		if (remote_get(take->remote, &request, &attempt->meter.sink, &answer,
			       err) < 0)
			return -1;
		take->unverified |= !answer.verified;
	}
	return 0;
}

static int finish(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;

	if (bundle_part_end(&attempt->part, err) < 0 ||
	    sink_file_end(&attempt->file, err) < 0 ||
	    digest_end(&attempt->digest, take->found, err) < 0)
		return -1;
	take->found_size = attempt->digest.size;
	if (has_entry(take) && strcasecmp(take->found, take->entry.sha256) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "%s: the SHA-256 is %s, the index says %s",
				 take->entry.name, take->found, take->entry.sha256);
	return 0;
}

/* What came is worth to be continued by the next run. */
static void keep_for_next_run(struct attempt *attempt)
{
	struct error lost = ERROR_INIT;

	if (attempt->file.buffer && attempt->part.header && has_entry(attempt->take) &&
	    sink_file_end(&attempt->file, &lost) == 0) {
		attempt->note.header = attempt->part.header;
		attempt->note.point = attempt->part.inflate.point;
		member_note_write(attempt->take->note, &attempt->note);
	}
}

static int try(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	int result;

	if (has_entry(take))
		member_of_entry(attempt);
	else if (find_member(attempt, err) < 0)
		return -1;
	if (check_entry(attempt, err) < 0 || begin_part(attempt, err) < 0)
		return -1;
	result = receive(attempt, err);
	if (result == 0)
		return finish(attempt, err);
	if (err->code == ERROR_NETWORK && err->errnum != ERANGE)
		keep_for_next_run(attempt);
	return -1;
}

/* Bytes that are wrong are no reason for the next run to fail. */
static int discard(const struct member_take *take, struct error *err)
{
	if (ftruncate(take->output, 0) < 0 ||
	    (take->note >= 0 && ftruncate(take->note, 0) < 0))
		return error_set_errno(err, errno, "dropping the bad file");
	return 0;
}

/* The server has no ranges at all: there is no use in asking once more. */
static bool nothing_came(const struct attempt *attempt)
{
	return attempt->remote.received + attempt->meter.received == 0;
}

int member_part_take(struct member_take *take, struct error *err)
{
	for (int tries = 1;; tries++) {
		cleanup(attempt_done) struct attempt attempt = {
			.take = take,
			.bundle = BUNDLE_INIT,
			.file = { .fd = -1 },
		};
		int result = try(&attempt, err);
		struct error lost = ERROR_INIT;

		take->received += attempt.remote.received + attempt.meter.received;
		take->unverified |= attempt.remote.unverified;
		if (result == 0)
			return 0;
		if (err->code != ERROR_INTEGRITY && err->errnum != ERANGE)
			return -1;
		if (discard(take, &lost) < 0) {
			*err = lost;
			return -1;
		}
		if (tries == TRIES || (err->errnum == ERANGE && nothing_came(&attempt)))
			return -1;
	}
}
