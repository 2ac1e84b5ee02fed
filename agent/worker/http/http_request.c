/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/http_request.h"

struct json *http_request_json(const struct http_request *request)
{
	return json_build("{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:I}",
			  "url", request->url, "offset", (int64_t)request->offset,
			  "total", (int64_t)request->total, "limit",
			  (int64_t)request->limit, "first", (int64_t)request->first,
			  "end", (int64_t)request->end, "resume", (int)request->resume,
			  "optional", (int)request->optional, "denied_is_absent",
			  (int)request->denied_is_absent, "quick", (int)request->quick,
			  "deadline_s", (int64_t)request->deadline_s);
}

static uint64_t number(const struct json *json, const char *key)
{
	int64_t value = json_get_int(json, key, 0);

	return value > 0 ? (uint64_t)value : 0;
}

struct http_request http_request_read(const struct json *json)
{
	return (struct http_request){
		.url = json_get_words(json, "url"),
		.offset = number(json, "offset"),
		.total = number(json, "total"),
		.limit = number(json, "limit"),
		.first = number(json, "first"),
		.end = number(json, "end"),
		.resume = json_get_bool(json, "resume", false),
		.optional = json_get_bool(json, "optional", false),
		.denied_is_absent = json_get_bool(json, "denied_is_absent", false),
		.quick = json_get_bool(json, "quick", false),
		.deadline_s = (unsigned)number(json, "deadline_s"),
	};
}

struct json *http_request_answer_json(const struct http_answer *answer)
{
	return json_build("{s:b, s:I}", "verified", (int)answer->verified, "total",
			  (int64_t)answer->total);
}

struct http_answer http_request_answer_read(const struct json *json)
{
	return (struct http_answer){
		.verified = json_get_bool(json, "verified", false),
		.total = number(json, "total"),
	};
}
