/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The reports as text for people, on standard output. A report is the JSON object of the
 * contract, the one source of both forms.
 */

#include "base/json.h"
#include "commands/request.h"

void print_steps(const struct json *report, const struct request *request);
void print_guest(const struct json *report, const struct request *request);
void print_path(const struct json *report, const struct request *request);
void print_index(const struct json *report, const struct request *request);
void print_settings(const struct json *report, const struct request *request);
void print_valid(const struct json *report, const struct request *request);

void print_plan(const struct json *report, const struct request *request);
void print_doctor(const struct json *report, const struct request *request);
void print_token(const struct json *report, const struct request *request);
void print_validate(const struct json *report, const struct request *request);

void print_status(const struct json *report, const struct request *request);

/*
 * One look of `status --watch`: on a terminal drawn over the one before, elsewhere a
 * block of lines. `now` is its error, code ERROR_NONE where all is well.
 */
must_check int print_status_look(const struct request *request, const struct json *report,
				 const struct error *now, struct error *err);

/* After the last look: the cursor goes behind its frame. */
void print_status_end(void);

/* A time of a report as "2026-11-24 18:01:02 UTC, 23 h left"; false: it is none. */
bool print_until(const char *time, char *text, size_t size);

/* A line of `plan`'s and `doctor`'s checks. */
void print_check(const struct json *check);
