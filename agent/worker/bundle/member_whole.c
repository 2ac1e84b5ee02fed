/* SPDX-License-Identifier: Apache-2.0 */

/* The part of worker/bundle/member_take.h that reads the whole bundle as it passes by. */

#include <errno.h>
#include <strings.h>

#include "model/url.h"
#include "worker/bundle/bundle_stream.h"
#include "worker/bundle/member_take.h"
#include "worker/meter.h"

#define TRIES 2

/*
 * One try: from the socket through meter and the bundle's digest to the reader of the
 * archive, and from there through the member's digest to the file.
 */
struct attempt {
	struct member_take *take;
	struct meter meter;
	struct digest whole, digest;
	struct bundle_stream *stream;
	struct sink_file file;
};

static void attempt_done(struct attempt *attempt)
{
	bundle_stream_free(attempt->stream);
	digest_done(&attempt->whole);
	digest_done(&attempt->digest);
	sink_file_done(&attempt->file);
}

static int begin_whole(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	struct digest *digest = &attempt->digest;

	if (sink_file_begin(&attempt->file, take->output, 0, err) < 0 ||
	    digest_begin(digest, &attempt->file.sink, err) < 0 ||
	    bundle_stream_begin(&take->wish, take->max_member, &digest->sink,
				&attempt->stream, err) < 0 ||
	    digest_begin(&attempt->whole, bundle_stream_sink(attempt->stream), err) < 0)
		return -1;
	meter_begin(&attempt->meter, 0, take->size, &attempt->whole.sink);
	return 0;
}

static int receive(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	struct http_request request = {
		.url = take->url,
		.total = take->size,
		.limit = take->max_size,
		.resume = take->sha256[0] != '\0',
	};
	struct http_answer answer;

	if (remote_get(take->remote, &request, &attempt->meter.sink, &answer, err) < 0)
		return -1;
	take->unverified |= !answer.verified;
	return 0;
}

static int check_bundle(struct attempt *attempt, struct error *err)
{
	const struct member_take *take = attempt->take;
	char found[DIGEST_TEXT_SIZE];

	if (digest_end(&attempt->whole, found, err) < 0)
		return -1;
	if (take->size && attempt->whole.size != take->size)
		return error_set(err, ERROR_INTEGRITY,
				 "%ju bytes came, expected were %ju",
				 (uintmax_t)attempt->whole.size, (uintmax_t)take->size);
	if (take->sha256[0] && strcasecmp(take->sha256, found) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "the SHA-256 is %s, expected was %s", found,
				 take->sha256);
	return 0;
}

static int finish(struct attempt *attempt, struct error *err)
{
	struct member_take *take = attempt->take;
	const struct member_entry *entry = &take->entry;

	if (check_bundle(attempt, err) < 0 ||
	    bundle_stream_end(attempt->stream, &take->member, err) < 0 ||
	    sink_file_end(&attempt->file, err) < 0 ||
	    digest_end(&attempt->digest, take->found, err) < 0)
		return -1;
	take->found_size = attempt->digest.size;
	if (entry->name && strcasecmp(take->found, entry->sha256) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "%s: the SHA-256 is %s, the index says %s",
				 take->member.name, take->found, entry->sha256);
	return 0;
}

static int try(struct attempt *attempt, struct error *err)
{
	char shown[256];

	if (begin_whole(attempt, err) < 0 || receive(attempt, err) < 0)
		return -1;
	if (finish(attempt, err) < 0)
		return error_prefix(err, "%s",
				    url_redact(attempt->take->url, shown, sizeof(shown)));
	return 0;
}

int member_whole_take(struct member_take *take, struct error *err)
{
	for (int tries = 1;; tries++) {
		cleanup(attempt_done) struct attempt attempt = { .take = take,
								 .file = { .fd = -1 } };
		int result = try(&attempt, err);
		struct error lost = ERROR_INIT;

		take->received += attempt.meter.received;
		if (result == 0)
			return 0;
		if (ftruncate(take->output, 0) < 0) {
			(void)error_set_errno(&lost, errno, "dropping the bad file");
			*err = lost;
			return -1;
		}
		if (err->code != ERROR_INTEGRITY || err->errnum == BUNDLE_STREAM_NOT ||
		    tries == TRIES)
			return -1;
	}
}
