/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/remote.h"

#include <errno.h>
#include <string.h>

#include "base/channel.h"
#include "model/url.h"
#include "worker/progress.h"
#include "worker/wire.h"

struct remote {
	int questions;
	struct wire wire;
	bool unheard; /* the end of an answer that is no longer wanted */
};

int remote_open(const struct json *request, struct remote **ret_remote, struct error *err)
{
	cleanup_remote struct remote *remote = calloc(1, sizeof(*remote));

	if (!remote)
		return error_set_errno(err, ENOMEM, "asking the net worker");
	remote->questions = (int)json_get_int(request, "questions", -1);
	if (wire_begin(&remote->wire, (int)json_get_int(request, "answers", -1), err) < 0)
		return -1;
	*ret_remote = take_ptr(remote);
	return 0;
}

void remote_close(struct remote *remote)
{
	if (!remote)
		return;
	wire_done(&remote->wire);
	free(remote);
}

/* What the net worker tells on its way is for the agent. */
static void hand_on(const struct json *progress)
{
	int64_t port = json_get_int(progress, "port", 0);
	int64_t waiting = json_get_int(progress, "waiting", 0);
	const char *host = json_get_string(progress, "host");

	if (port > 0 && port <= UINT16_MAX && host)
		progress_port((unsigned)port, host);
	else if (waiting > 0)
		progress_wait((double)waiting, json_get_string(progress, "why"));
	else
		progress_beat();
}

/* 1: the end, with its result; 0: there is more to come; -1: the end, an error. */
static int take_text(const struct wire_piece *piece, struct json **ret_result,
		     struct error *err)
{
	cleanup_json struct json *line = NULL;
	const struct json *value;

	if (json_parse(piece->data, piece->size, &line, err) < 0)
		return error_prefix(err, "hearing the net worker");
	if ((value = json_get(line, "error")))
		return channel_error(value, err);
	if ((value = json_get(line, "progress"))) {
		hand_on(value);
		return 0;
	}
	*ret_result = json_take(line, "result");
	return *ret_result ? 1
			   : error_set(err, ERROR_INTERNAL,
				       "the net worker sent a line of an unknown kind");
}

/* Asked for something else, the net worker has broken off: this is the rest of it. */
static int hear_out(struct remote *remote, struct error *err)
{
	while (remote->unheard) {
		cleanup_json struct json *result = NULL;
		struct error ignored = ERROR_INIT;
		struct wire_piece piece;

		if (wire_next(&remote->wire, &piece, err) < 0)
			return -1;
		if (piece.kind == WIRE_TEXT && take_text(&piece, &result, &ignored) != 0)
			remote->unheard = false;
	}
	return 0;
}

static int ask(struct remote *remote, const char *kind, struct json *question,
	       struct error *err)
{
	if (channel_send(remote->questions, kind, question, err) < 0)
		return error_prefix(err, "asking the net worker");
	if (hear_out(remote, err) < 0)
		return -1;
	remote->unheard = true;
	return 0;
}

/* What comes for one question, and where it goes. */
struct reception {
	const struct http_request *request;
	struct sink *sink;
	uint64_t have, limit; /* bytes of the file, those before the question too */
	struct json *result;
};

static int take_data(struct reception *reception, const struct wire_piece *piece,
		     struct error *err)
{
	if (reception->have > reception->limit ||
	    piece->size > reception->limit - reception->have)
		return error_set(err, ERROR_INTEGRITY, "more than the %ju bytes expected",
				 (uintmax_t)reception->limit);
	reception->have += piece->size;
	return sink_write(reception->sink, piece->data, piece->size, err);
}

static int take_restart(struct reception *reception, struct error *err)
{
	reception->have = reception->request->end ? reception->request->first : 0;
	return sink_restart(reception->sink, err);
}

static int receive(struct remote *remote, struct reception *reception, struct error *err)
{
	struct wire_piece piece;
	int result;

	do {
		if (wire_next(&remote->wire, &piece, err) < 0)
			return -1;
		switch (piece.kind) {
		case WIRE_DATA:
			result = take_data(reception, &piece, err);
			break;
		case WIRE_RESTART:
			result = take_restart(reception, err);
			break;
		case WIRE_TEXT:
		default:
			result = take_text(&piece, &reception->result, err);
			remote->unheard = result == 0;
		}
	} while (result == 0);
	return result < 0 ? -1 : 0;
}

/* A net worker that says that all is there is not believed. */
static int check_end(const struct reception *reception, struct error *err)
{
	const struct http_request *request = reception->request;
	uint64_t end = request->end ? request->end : request->total;

	if (!end || reception->have == end)
		return 0;
	return error_set(err, ERROR_INTERNAL,
			 "the net worker gave %ju bytes for a whole of %ju",
			 (uintmax_t)reception->have, (uintmax_t)end);
}

int remote_get(struct remote *remote, const struct http_request *request,
	       struct sink *sink, struct http_answer *ret_answer, struct error *err)
{
	struct reception reception = {
		.request = request,
		.sink = sink,
		.have = request->end ? request->first : request->offset,
		.limit = request->end ? request->end : request->limit,
	};
	cleanup_json struct json *result = NULL;
	bool sunk;
	char shown[256];

	if (ask(remote, "get", http_request_json(request), err) < 0)
		return -1;
	if (receive(remote, &reception, err) < 0) {
		/* An error of the net worker's names the URL already. */
		sunk = remote->unheard && err->errnum != EPIPE;
		return sunk ? error_prefix(err, "%s",
					   url_redact(request->url, shown, sizeof(shown)))
			    : -1;
	}
	result = reception.result;
	if (check_end(&reception, err) < 0)
		return -1;
	*ret_answer = http_request_answer_read(result);
	return 0;
}

int remote_get_text(struct remote *remote, const char *url, size_t limit,
		    struct remote_text *ret_text, struct error *err)
{
	struct http_request request = { .url = url, .limit = limit, .optional = true };
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	struct http_answer answer;

	sink_memory_begin(&memory, limit);
	if (remote_get(remote, &request, &memory.sink, &answer, err) < 0)
		return -1;
	if (!memory.data)
		memory.data = strdup("");
	if (!memory.data)
		return error_set_errno(err, ENOMEM, "keeping the answer");

	ret_text->text = take_ptr(memory.data);
	ret_text->size = memory.size;
	ret_text->verified = answer.verified;
	return 0;
}

int remote_link_local(struct remote *remote, struct json **ret_urls, struct error *err)
{
	struct json *urls;
	struct sink_memory none;
	struct http_request request = { .url = "" };
	struct reception reception = { .request = &request, .sink = &none.sink };
	cleanup_json struct json *result = NULL;

	sink_memory_begin(&none, 0);
	if (ask(remote, "link_local", json_build("{}"), err) < 0 ||
	    receive(remote, &reception, err) < 0)
		return -1;
	result = reception.result;
	urls = json_take(result, "urls");
	if (!urls)
		return error_set(err, ERROR_INTERNAL,
				 "the net worker names no interfaces");
	*ret_urls = urls;
	return 0;
}
