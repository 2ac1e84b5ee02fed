/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/http/http.h"
#include "worker/job/job.h"
#include "worker/progress.h"
#include "worker/token/jwt.h"
#include "worker/vendordata.h"

#define DYNAMIC "vendor_data2.json"
#define PLAIN "vendor_data.json"
#define FOLDER "/openstack/latest/"
#define SERVICE "metadata service, "
#define DRIVE "config drive, "
#define PAUSE_MAX_S 5.0

/* The metadata service, while it is asked. */
struct service {
	struct http *http;
	const char *url;
	double deadline; /* of the monotonic clock */
	bool answered;   /* some document was there */
	bool gone;       /* nobody listens: no more questions */
};

/*
 * Nobody there, in whatever way the network says it, is the usual case and no warning.
 * A document that fails says nothing of the other one.
 */
static int note_failure(struct service *service, struct vendordata *data,
			const char *source, const struct error *why)
{
	if (!why->errnum)
		return vendordata_warn(data, source, why->text);
	service->gone = why->errnum != ENOENT;
	return 0;
}

/* Adds a document, then wipes its text: a document may hold the token. */
static int add_document(struct vendordata *data, const char *source, char *text,
			size_t size, enum vendordata_verdict *ret_verdict,
			struct error *err)
{
	int result = vendordata_add(data, source, text_ends(source, DYNAMIC),
				    (struct span){ text ? text : "", size }, ret_verdict,
				    err);

	if (text)
		explicit_bzero(text, size);
	return result;
}

/* One document; -1 only when memory is out. */
static int get_document(struct service *service, const char *document,
			struct vendordata *data, enum vendordata_verdict *ret_verdict,
			struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup_free char *url = text_print("%s" FOLDER "%s", service->url, document);
	double left = service->deadline - clock_monotonic();
	struct http_request request = {
		.url = url,
		.limit = VENDORDATA_SIZE_MAX,
		.optional = true,
		.quick = true,
		.deadline_s = left > 1 ? (unsigned)left : 1,
	};
	struct error why = ERROR_INIT;
	struct http_answer answer;
	char source[64];

	*ret_verdict = VENDORDATA_NONE;
	(void)text_format(source, sizeof(source), SERVICE "%s", document);
	if (!url)
		return error_set_errno(err, ENOMEM, "asking the metadata service");

	sink_memory_begin(&memory, VENDORDATA_SIZE_MAX);
	if (http_get(service->http, &request, &memory.sink, &answer, &why) < 0) {
		if (note_failure(service, data, source, &why) < 0)
			return error_set_errno(err, ENOMEM, "reading the metadata");
		return 0;
	}
	service->answered = true;
	return add_document(data, source, memory.data, memory.size, ret_verdict, err);
}

/* Asks for the dynamic document until its service has said something or time is up. */
static int ask_patiently(struct service *service, struct vendordata *data,
			 enum vendordata_verdict *ret_verdict, struct error *err)
{
	double pause = 1;

	for (;;) {
		if (get_document(service, DYNAMIC, data, ret_verdict, err) < 0)
			return -1;
		if (*ret_verdict != VENDORDATA_EMPTY ||
		    clock_monotonic() + pause >= service->deadline)
			return 0;
		progress_beat();
		if (clock_sleep(pause, -1, err) < 0)
			return -1;
		pause = pause * 2 < PAUSE_MAX_S ? pause * 2 : PAUSE_MAX_S;
	}
}

/* `ret_state`: the word of the result. */
static int read_service(const struct json *request, struct vendordata *data,
			const char **ret_state, struct error *err)
{
	cleanup_http struct http *http = NULL;
	int64_t timeout = json_get_int(request, "timeout", 30);
	struct service service = { .url = json_get_string(request, "service") };
	enum vendordata_verdict dynamic, plain;

	*ret_state = "off";
	if (!service.url)
		return 0;
	/* Without options: no proxy and no credentials, whatever the configuration has.
	 */
	if (http_open(NULL, &http, err) < 0)
		return -1;
	service.http = http;
	service.deadline = clock_monotonic() + (double)timeout;

	if (ask_patiently(&service, data, &dynamic, err) < 0)
		return -1;
	if (!service.gone && get_document(&service, PLAIN, data, &plain, err) < 0)
		return -1;

	*ret_state = service.answered ? "answered" : "absent";
	if (dynamic != VENDORDATA_EMPTY)
		return 0;
	*ret_state = "empty";
	if (vendordata_warn(data, SERVICE DYNAMIC,
			    "a vendordata service behind it gives nothing") < 0)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	return 0;
}

static int read_document(const struct json *document, const char *name,
			 struct vendordata *data, struct error *err)
{
	cleanup_free char *text = NULL;
	int fd = (int)json_get_int(document, "input", -1);
	enum vendordata_verdict verdict;
	struct error why = ERROR_INIT;
	char source[64];
	size_t size;

	(void)text_format(source, sizeof(source), DRIVE "%s", name);
	(void)lseek(fd, 0, SEEK_SET); /* where the caller has read it before */
	if (file_read_fd(fd, VENDORDATA_SIZE_MAX, &text, &size, &why) == 0)
		return add_document(data, source, text, size, &verdict, err);
	if (vendordata_warn(data, source, why.text) < 0)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	return 0;
}

/* The drive is the snapshot of the first boot: it comes after the service. */
static int read_drive(const struct json *drive, struct vendordata *data,
		      struct error *err)
{
	static const char *const names[] = { DYNAMIC, PLAIN };

	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		for (size_t i = 0; i < json_count(drive); i++) {
			const struct json *document = json_at(drive, i);
			const char *name = json_get_string(document, "name");

			if (name && text_ends(name, names[n]) &&
			    read_document(document, names[n], data, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* At once, so that a run needs no second worker for it. A monster is refused unread. */
static int check_token(const struct vendordata *data, struct json **ret_check,
		       struct error *err)
{
	if (!data->token || data->token_size > JWT_SIZE_MAX) {
		*ret_check = json_build("n");
		return *ret_check ? 0 : error_set_errno(err, ENOMEM, "checking a token");
	}
	return jwt_check((struct span){ data->token, data->token_size }, clock_now(),
			 ret_check, err);
}

int job_metadata(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;
	cleanup_json struct json *check = NULL;
	const char *state;

	if (vendordata_begin(&data, err) < 0 ||
	    read_service(request, &data, &state, err) < 0 ||
	    read_drive(json_get(request, "drive"), &data, err) < 0 ||
	    check_token(&data, &check, err) < 0)
		return -1;

	*ret_result = json_build(
		"{s:b, s:O, s:o, s:o, s:O, s:O, s:s, s:O}", "found",
		json_count(data.sources) > 0, "object", data.object, "token",
		data.token ? json_text(data.token, data.token_size) : json_build("n"),
		"token_source",
		data.token ? json_build("s", data.token_source) : json_build("n"),
		"token_check", check, "sources", data.sources, "service", state,
		"warnings", data.warnings);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	return 0;
}
