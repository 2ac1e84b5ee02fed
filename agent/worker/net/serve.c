/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/net/serve.h"

#include <errno.h>
#include <string.h>

#include "base/channel.h"
#include "base/text.h"
#include "worker/http/http.h"
#include "worker/net/link_local.h"
#include "worker/progress.h"
#include "worker/wire.h"

#define METADATA "/openstack/latest/"

struct serving {
	struct sink sink; /* to the fetch worker */
	const struct json *request;
	struct http *http;
	struct error refusal; /* why there is no `http` */
	int questions, answers;
};

static int give(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct serving *serving = (struct serving *)(void *)sink;

	return wire_send(serving->answers, WIRE_DATA, data, size, err);
}

static int give_restart(struct sink *sink, struct error *err)
{
	struct serving *serving = (struct serving *)(void *)sink;

	return wire_send(serving->answers, WIRE_RESTART, NULL, 0, err);
}

static bool is_same(const char *url, const char *named)
{
	return named && named[0] && strcmp(url, named) == 0;
}

/* `more` stands behind `folder`, or is its end already. */
static bool is_below(const char *url, const char *folder, const char *more)
{
	return folder && folder[0] && text_starts(url, folder) &&
	       (text_ends(folder, more) || text_starts(url + strlen(folder), more));
}

/* The name of an interface and nothing that would make another host of the rest. */
static bool is_link_local(const char *url)
{
	if (!text_starts(url, LINK_LOCAL_BEGIN))
		return false;
	url += strlen(LINK_LOCAL_BEGIN);
	return text_starts(url + strcspn(url, "]@/?#"), "]" METADATA);
}

bool serve_may_ask(const struct json *request, const char *url)
{
	return is_same(url, json_get_string(request, "url")) ||
	       is_below(url, json_get_string(request, "repository"), "/") ||
	       is_below(url, json_get_string(request, "service"), METADATA) ||
	       (json_get_bool(request, "link_local", false) && is_link_local(url));
}

static int get(struct serving *serving, const struct json *question,
	       struct json **ret_result, struct error *err)
{
	const struct http_request request = http_request_read(question);
	struct http_answer answer;

	if (!serve_may_ask(serving->request, request.url))
		return error_set(err, ERROR_INTERNAL,
				 "the job does not lead to this URL");
	if (!serving->http) {
		*err = serving->refusal;
		return -1;
	}
	if (http_get(serving->http, &request, &serving->sink, &answer, err) < 0)
		return -1;
	*ret_result = http_request_answer_json(&answer);
	return 0;
}

static int answer(struct serving *serving, const struct json *question,
		  struct json **ret_result, struct error *err)
{
	const struct json *get_this = json_get(question, "get");

	if (get_this)
		return get(serving, get_this, ret_result, err);
	if (json_get(question, "link_local"))
		return link_local_urls(ret_result, err);
	return error_set(err, ERROR_INTERNAL, "the net worker knows no such question");
}

/* The end of one answer. */
static int finish(const struct serving *serving, struct json *result,
		  const struct error *error, struct error *err)
{
	if (result)
		return wire_say(serving->answers, "result", result, err);
	return wire_say(serving->answers, "error", channel_error_json(error), err);
}

static int serve(struct serving *serving, struct error *err)
{
	for (;;) {
		cleanup_json struct json *question = NULL;
		struct error failed = ERROR_INIT;
		struct json *result = NULL; /* finish() takes it */

		/* The fetch worker has its job done, or is gone. */
		if (channel_receive(serving->questions, &question, &failed) < 0)
			return 0;
		if (answer(serving, question, &result, &failed) == 0 && !result)
			(void)error_set_errno(&failed, ENOMEM, "answering");
		if (finish(serving, result, &failed, err) < 0)
			return -1;
	}
}

int serve_job(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup_http struct http *http = NULL;
	struct serving serving = {
		.sink = { .write = give, .restart = give_restart },
		.request = request,
		.refusal = ERROR_INIT,
		.questions = (int)json_get_int(request, "questions", -1),
		.answers = (int)json_get_int(request, "answers", -1),
	};

	/* Without "http", as for metadata: no proxy and no credentials. That they cannot
	 * be read is told to who asks. */
	if (http_open(json_get(request, "http"), serving.questions, &http,
		      &serving.refusal) == 0)
		serving.http = http;
	progress_open(serving.answers, wire_say);
	if (serve(&serving, err) < 0)
		return -1;
	*ret_result = json_build("{}");
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "answering");
}
