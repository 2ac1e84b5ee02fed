/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_remote.h"

#include <errno.h>
#include <string.h>

#include "worker/bundle/bundle_file.h"

/* The largest piece that is asked for: the directory, whose size is checked before. */
#define WINDOW_MAX BUNDLE_DIRECTORY_MAX

static int load(struct bundle_remote *remote, uint64_t first, uint64_t end,
		struct http_answer *ret_answer, struct error *err)
{
	struct http_request request = {
		.url = remote->url,
		.first = first,
		.end = end,
		.total = remote->source.size,
		.resume = true,
	};

	sink_memory_done(&remote->window);
	sink_memory_begin(&remote->window, WINDOW_MAX);
	if (remote_get(remote->from, &request, &remote->window.sink, ret_answer, err) < 0)
		return -1;
	remote->start = first;
	remote->received += remote->window.size;
	remote->unverified |= !ret_answer->verified;
	return 0;
}

static int remote_read(struct bundle_source *source, uint64_t offset, void *ret_data,
		       size_t count, struct error *err)
{
	struct bundle_remote *remote = (struct bundle_remote *)source;
	const struct sink_memory *window = &remote->window;
	struct http_answer answer;

	if (count == 0)
		return 0;
	if (offset > source->size || count > source->size - offset)
		return error_set(err, ERROR_INTEGRITY, "the archive ends too early");
	if (!(offset >= remote->start && offset - remote->start <= window->size &&
	      count <= window->size - (offset - remote->start)) &&
	    load(remote, offset, offset + count, &answer, err) < 0)
		return -1;
	memcpy(ret_data, window->data + (offset - remote->start), count);
	return 0;
}

int bundle_remote_begin(struct bundle_remote *remote, struct remote *from,
			const char *url, uint64_t size, struct error *err)
{
	struct http_answer answer;

	*remote = (struct bundle_remote){
		.source = { .size = size, .read = remote_read },
		.from = from,
		.url = url,
	};
	if (size > 0)
		return 0;
	if (load(remote, 0, 1, &answer, err) < 0)
		return -1;
	if (answer.total == 0) {
		(void)error_set(err, ERROR_NETWORK,
				"the server does not say how large the file is");
		err->errnum = ERANGE;
		return -1;
	}
	remote->source.size = answer.total;
	return 0;
}

void bundle_remote_done(struct bundle_remote *remote)
{
	sink_memory_done(&remote->window);
}
