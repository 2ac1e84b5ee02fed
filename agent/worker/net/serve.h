/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The net worker beside a fetch worker: one question after the other, as lines of JSON on
 * the pipe "questions", and frames of worker/wire.h on the pipe "answers".
 *
 *   {"get":worker/http/http_request.h}  data and restarts, then {"result":{"verified":b,
 *                                       "total":i}} or {"error":...}
 *   {"link_local":{}}                   {"result":{"urls":[s,...]}}
 *
 * Progress comes in between. A question that comes before the end of an answer breaks
 * that answer off. The fetch worker reads foreign bytes, too, and may have been taken
 * over: no question leads to another server than those that the agent named.
 */

#include <stdbool.h>

#include "worker/job/job.h"

/* Ends when the fetch worker has closed its pipe. */
int serve_job(const struct json *request, struct json **ret_result, struct error *err);

/*
 * Whether the job of the agent's `request` leads to this URL: "url" itself, what lies
 * below "repository", and the metadata of "service".
 */
bool serve_may_ask(const struct json *request, const char *url);
