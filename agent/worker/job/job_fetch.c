/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "model/url.h"
#include "worker/digest.h"
#include "worker/job/job.h"
#include "worker/meter.h"
#include "worker/remote.h"

#define TRIES 2 /* a poisoned partial file, then once more from zero */

struct fetch {
	const char *url;
	const char *sha256; /* "": not known */
	int output;
	uint64_t size; /* 0: not known */
	uint64_t max_size;
	struct remote *remote;
	struct http_answer answer;
	uint64_t received; /* of all tries */
	char found[DIGEST_TEXT_SIZE];
	uint64_t found_size;
};

/* How much of the partial file is worth to be hashed again and continued. */
static int count_resumable(const struct fetch *fetch, uint64_t *ret_have,
			   struct error *err)
{
	struct stat st;

	if (fstat(fetch->output, &st) < 0)
		return error_set_errno(err, errno, "looking at the partial file");

	*ret_have = (uint64_t)st.st_size;
	if (!fetch->sha256[0] || *ret_have > fetch->max_size)
		*ret_have = 0;
	return 0;
}

static int receive(struct fetch *fetch, uint64_t have, struct sink *next,
		   struct error *err)
{
	struct meter meter;
	struct http_request request = {
		.url = fetch->url,
		.offset = have,
		.total = fetch->size,
		.limit = fetch->max_size,
		.resume = fetch->sha256[0] != '\0',
	};
	int result;

	if (fetch->size && have == fetch->size)
		return 0;
	meter_begin(&meter, have, fetch->size, next);
	result = remote_get(fetch->remote, &request, &meter.sink, &fetch->answer, err);
	fetch->received += meter.received;
	return result;
}

/* One pass: hash the bytes that are there already, fetch the rest, end with the hash. */
static int pass(struct fetch *fetch, struct error *err)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup(digest_done) struct digest digest = { .context = NULL };
	uint64_t have;

	if (count_resumable(fetch, &have, err) < 0)
		return -1;
	if (sink_file_begin(&file, fetch->output, have, err) < 0)
		return -1;
	if (sink_file_reserve(&file, fetch->size, err) < 0)
		return -1;
	if (digest_begin(&digest, &file.sink, err) < 0)
		return -1;
	if (digest_read_fd(&digest, fetch->output, have, err) < 0)
		return -1;

	if (receive(fetch, have, &digest.sink, err) < 0) {
		struct error lost = ERROR_INIT;

		/* What came is worth to be continued by the next run. */
		if (err->code == ERROR_NETWORK && sink_file_end(&file, &lost) < 0)
			*err = lost;
		return -1;
	}

	if (sink_file_end(&file, err) < 0)
		return -1;
	fetch->found_size = digest.size;
	return digest_end(&digest, fetch->found, err);
}

static int check_size_and_hash(const struct fetch *fetch, struct error *err)
{
	char shown[256];

	(void)url_redact(fetch->url, shown, sizeof(shown));
	if (fetch->size && fetch->found_size != fetch->size)
		return error_set(err, ERROR_INTEGRITY,
				 "%s: %ju bytes came, expected were %ju", shown,
				 (uintmax_t)fetch->found_size, (uintmax_t)fetch->size);
	if (fetch->sha256[0] && strcasecmp(fetch->sha256, fetch->found) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "%s: the SHA-256 is %s, expected was %s", shown,
				 fetch->found, fetch->sha256);
	return 0;
}

/* A file that is not the promised one is no reason for the next run to fail. */
static int discard(const struct fetch *fetch, struct error *err)
{
	struct error wrong = *err;

	if (ftruncate(fetch->output, 0) < 0)
		return error_set_errno(err, errno, "dropping the bad file");
	*err = wrong;
	return -1;
}

static int fetch_verified(struct fetch *fetch, struct error *err)
{
	for (int tries = 1;; tries++) {
		if (pass(fetch, err) == 0 && check_size_and_hash(fetch, err) == 0)
			return 0;
		if (err->code != ERROR_INTEGRITY)
			return -1;

		(void)discard(fetch, err);
		if (err->code != ERROR_INTEGRITY)
			return -1;
		if (tries == TRIES && !err->hint[0])
			return error_hint(err, "the server does not give the file that "
					       "was promised: publish the repository "
					       "again, or correct driver.sha256");
		if (tries == TRIES)
			return -1;
	}
}

int job_fetch(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup_remote struct remote *remote = NULL;
	int64_t size = json_get_int(request, "size", 0);
	int64_t max_size = json_get_int(request, "max_size", size);
	struct fetch fetch = {
		.url = json_get_words(request, "url"),
		.sha256 = json_get_words(request, "sha256"),
		.output = (int)json_get_int(request, "output", -1),
		.size = size > 0 ? (uint64_t)size : 0,
		.max_size = max_size > 0 ? (uint64_t)max_size : 0,
	};

	if (fetch.size && fetch.size < fetch.max_size)
		fetch.max_size = fetch.size;
	if (remote_open(request, &remote, err) < 0)
		return -1;
	fetch.remote = remote;
	if (fetch_verified(&fetch, err) < 0)
		return -1;

	*ret_result = json_build("{s:I, s:s, s:I, s:b}", "size",
				 (int64_t)fetch.found_size, "sha256", fetch.found,
				 "bytes_transferred", (int64_t)fetch.received, "verified",
				 fetch.answer.verified);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "answering");
	return 0;
}
