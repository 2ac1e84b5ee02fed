/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "worker/digest.h"
#include "worker/job/job.h"
#include "worker/progress.h"
#include "worker/remote.h"
#include "worker/token/jwt.h"
#include "worker/vendordata.h"

#define DYNAMIC "vendor_data2.json"
#define PLAIN "vendor_data.json"
#define FOLDER "/openstack/latest/"
#define SERVICE "metadata service, "
#define DRIVE "config drive, "
#define PAUSE_ABSENT_S 1.0 /* of who is not there yet: asking costs nothing */
#define PAUSE_MAX_S 5.0

/* The metadata service, while it is asked. */
struct service {
	struct remote *remote;
	const char *url;
	double deadline; /* of the monotonic clock */
	bool answered;   /* some document was there */
	bool gone;       /* nobody listens: no more questions */
	bool failing;    /* a document is in trouble, or is none: it says nothing */
};

/*
 * Nobody there, in whatever way the network says it, is the usual case and no warning.
 * A document that fails says nothing of the other one.
 */
static int note_failure(struct service *service, struct vendordata *data,
			const char *source, const struct error *why)
{
	if (!why->errnum) {
		service->failing = true;
		return vendordata_warn(data, source, why->text);
	}
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
	if (remote_get(service->remote, &request, &memory.sink, &answer, &why) < 0) {
		if (note_failure(service, data, source, &why) < 0)
			return error_set_errno(err, ENOMEM, "reading the metadata");
		return 0;
	}
	service->answered = true;
	if (add_document(data, source, memory.data, memory.size, ret_verdict, err) < 0)
		return -1;
	service->failing |= *ret_verdict == VENDORDATA_ODD;
	return 0;
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

/* Both documents, once. */
static int read_documents(struct service *service, struct vendordata *data,
			  enum vendordata_verdict *ret_dynamic, struct error *err)
{
	enum vendordata_verdict plain;

	service->gone = false;
	if (ask_patiently(service, data, ret_dynamic, err) < 0)
		return -1;
	return service->gone ? 0 : get_document(service, PLAIN, data, &plain, err);
}

/*
 * Without IPv4 the service has a link-local address, which means another one on each
 * interface: each that is up is asked, until one answers.
 */
static int read_link_local(struct service *service, struct vendordata *data,
			   enum vendordata_verdict *ret_dynamic, struct error *err)
{
	cleanup_json struct json *urls = NULL;

	if (remote_link_local(service->remote, &urls, err) < 0)
		return -1;
	for (size_t i = 0; i < json_count(urls) && !service->answered; i++) {
		service->url = json_as_string(json_at(urls, i));
		if (read_documents(service, data, ret_dynamic, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Where one is sure to come, nobody there yet is waited for: at boot the network, or the
 * service, may be later than we.
 */
static int read_until_there(struct service *service, const struct json *request,
			    struct vendordata *data, enum vendordata_verdict *ret_dynamic,
			    struct error *err)
{
	const char *url = service->url;
	bool patient = json_get_bool(request, "patient", false);

	for (;;) {
		service->url = url;
		if (read_documents(service, data, ret_dynamic, err) < 0)
			return -1;
		if (service->gone && !service->answered &&
		    json_get_bool(request, "link_local", false) &&
		    read_link_local(service, data, ret_dynamic, err) < 0)
			return -1;
		if (!patient || service->answered || service->failing ||
		    clock_monotonic() + PAUSE_ABSENT_S >= service->deadline)
			return 0;
		progress_beat();
		if (clock_sleep(PAUSE_ABSENT_S, -1, err) < 0)
			return -1;
	}
}

/* `ret_state`: the word of the result; `ret_silent`: it has said nothing, one way or
 * other.
 */
static int read_service(const struct json *request, struct vendordata *data,
			const char **ret_state, bool *ret_silent, struct error *err)
{
	cleanup_remote struct remote *remote = NULL;
	int64_t timeout = json_get_int(request, "timeout", 30);
	struct service service = { .url = json_get_string(request, "service") };
	enum vendordata_verdict dynamic;

	*ret_silent = false;
	*ret_state = "off";
	if (!service.url)
		return 0;
	if (remote_open(request, &remote, err) < 0)
		return -1;
	service.remote = remote;
	service.deadline = clock_monotonic() + (double)timeout;

	if (read_until_there(&service, request, data, &dynamic, err) < 0)
		return -1;

	*ret_silent = service.gone || service.failing || dynamic == VENDORDATA_EMPTY;
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

/* Of the service's token, which nobody has to keep for that. */
static int hash_token(const struct vendordata *data, char *ret_hex, struct error *err)
{
	struct digest digest;
	int result;

	if (!data->token)
		return 0;
	if (digest_begin(&digest, NULL, err) < 0)
		return -1;
	result = sink_write(&digest.sink, data->token, data->token_size, err);
	if (result == 0)
		result = digest_end(&digest, ret_hex, err);
	digest_done(&digest);
	return result;
}

int job_metadata(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;
	cleanup_json struct json *check = NULL;
	cleanup_json struct json *said = NULL;
	char sha256[DIGEST_TEXT_SIZE] = "";
	const char *state;
	bool silent;

	if (vendordata_begin(&data, err) < 0 ||
	    read_service(request, &data, &state, &silent, err) < 0 ||
	    hash_token(&data, sha256, err) < 0)
		return -1;
	said = json_build("O", data.object);
	if (!said)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	/* Of a service that has answered before the drive is only an old copy. */
	if (!(silent && json_get_bool(request, "known", false)) &&
	    read_drive(json_get(request, "drive"), &data, err) < 0)
		return -1;
	if (check_token(&data, &check, err) < 0)
		return -1;

	*ret_result = json_build(
		"{s:b, s:O, s:o, s:o, s:O, s:O, s:s, s:O, s:b, s:O, s:s?}", "found",
		json_count(data.sources) > 0, "object", data.object, "token",
		data.token ? json_text(data.token, data.token_size) : json_build("n"),
		"token_source",
		data.token ? json_build("s", data.token_source) : json_build("n"),
		"token_check", check, "sources", data.sources, "service", state,
		"warnings", data.warnings, "silent", (int)silent, "service_object", said,
		"service_token_sha256", sha256[0] ? sha256 : NULL);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	return 0;
}
