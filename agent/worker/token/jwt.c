/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/token/jwt.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/license/token.h"
#include "worker/base64.h"
#include "worker/signature.h"
#include "worker/token/jwt_text.h"

#define SERVERS_MAX 32
#define PORTS_MAX 16
#define TIME_MAX INT64_C(253402300799) /* the last second of the year 9999 */

/* Decoded bytes, wiped when they are done with. */
struct part {
	unsigned char *data;
	size_t size, room;
};

static void part_done(struct part *part)
{
	if (part->data)
		explicit_bzero(part->data, part->room);
	free(part->data);
	*part = (struct part){ 0 };
}

static int part_begin(struct part *part, size_t room)
{
	*part = (struct part){ .data = malloc(room + 1), .room = room };
	return part->data ? 0 : -1;
}

/* What is read out of a token on the way to the report. */
struct reading {
	struct json *problems; /* borrowed */
	struct json *header, *payload;
	bool broken; /* an error has been reported: its consequences are not */
	size_t offset;
	const char *signature;
};

static void reading_done(struct reading *reading)
{
	json_free(reading->header);
	json_free(reading->payload);
}

/* Only the first error of this kind is worth saying. */
static int printf_like(2, 3) not_a_token(struct reading *reading, const char *fmt, ...)
{
	char message[160];
	va_list args;

	if (reading->broken)
		return 0;
	reading->broken = true;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);

	return jwt_text_add(reading->problems, "not_a_token", "error", "%s", message);
}

/* Decodes one part and reads it as an object, which stays NULL where that fails. */
static int read_object(struct span text, const char *name, struct reading *reading,
		       struct json **ret_object)
{
	cleanup(part_done) struct part part = { 0 };
	cleanup_json struct json *object = NULL;
	struct error err = ERROR_INIT;
	size_t bad;

	if (part_begin(&part, BASE64_ROOM(text.len)) < 0)
		return -1;
	if (!base64_decode(text, BASE64_URL, part.data, &part.size, &bad))
		return not_a_token(reading, "it is cut or damaged in its %s, at byte %zu",
				   name, reading->offset + bad + 1);
	if (json_parse((const char *)part.data, part.size, &object, &err) < 0 &&
	    err.errnum == ENOMEM)
		return -1;
	if (json_kind(object) != JSON_KIND_OBJECT)
		return not_a_token(reading,
				   "its %s, which begins at byte %zu, holds no JSON "
				   "object: it is none or damaged there",
				   name, reading->offset + 1);

	*ret_object = take_ptr(object);
	return 0;
}

/*
 * Verifies with the public key inside the token itself: that finds damage, and proves no
 * origin.
 */
static int judge_signature(struct span content, const struct part *signature,
			   struct reading *reading)
{
	const struct json *configuration =
		json_get(reading->payload, "service_instance_public_key_configuration");
	const char *pem =
		json_get_string(configuration, "service_instance_public_key_pem");
	const char *algorithm = json_get_string(reading->header, "alg");
	enum signature_verdict verdict;
	size_t key_size;

	if (!pem || !algorithm || strcmp(algorithm, "RS256") != 0)
		return 0;
	verdict = signature_rs256(span_of(pem), content, signature->data, signature->size,
				  &key_size);
	if (verdict == SIGNATURE_NO_MEMORY)
		return -1;
	if (verdict == SIGNATURE_UNKNOWN)
		return 0;

	reading->signature = verdict == SIGNATURE_OK ? "ok" : "bad";
	if (signature->size != key_size)
		return not_a_token(reading,
				   "it is cut or damaged in its signature, which has %zu "
				   "bytes instead of %zu",
				   signature->size, key_size);
	if (verdict == SIGNATURE_OK || reading->broken)
		return 0;
	return jwt_text_add(reading->problems, "bad_signature", "warning",
			    "its signature does not fit: it was changed after it was "
			    "issued");
}

static int read_signature(struct span content, struct span text, struct reading *reading)
{
	cleanup(part_done) struct part part = { 0 };
	size_t bad;

	if (text.len == 0)
		return not_a_token(reading,
				   "it is cut after byte %zu: its signature is missing",
				   reading->offset);
	if (part_begin(&part, BASE64_ROOM(text.len)) < 0)
		return -1;
	if (!base64_decode(text, BASE64_URL, part.data, &part.size, &bad))
		return not_a_token(reading,
				   "it is cut or damaged in its signature, at byte %zu",
				   reading->offset + bad + 1);

	return judge_signature(content, &part, reading);
}

/* `token` has no byte that a token may not have. */
static int read_parts(struct span token, struct reading *reading)
{
	struct span header, payload, signature, rest = token;
	struct span content = token;
	size_t end = reading->offset + token.len;

	if (!span_split(rest, '.', &header, &rest))
		return not_a_token(reading,
				   "it is none, or cut in the first of its three parts, "
				   "after byte %zu",
				   end);
	if (!span_split(rest, '.', &payload, &signature))
		return not_a_token(reading,
				   "it is cut in the second of its three parts, after "
				   "byte %zu",
				   end);
	if (signature.len > 0 && memchr(signature.at, '.', signature.len))
		return not_a_token(reading, "it has more than three parts");

	content.len = header.len + 1 + payload.len;
	if (read_object(header, "header", reading, &reading->header) < 0)
		return -1;
	reading->offset += header.len + 1;
	if (read_object(payload, "payload", reading, &reading->payload) < 0)
		return -1;
	reading->offset += payload.len + 1;
	return read_signature(content, signature, reading);
}

/*
 * Reads the token with blanks inside taken out: it stays a damaged token, but the report
 * can still say whose it is and how long it was valid.
 */
static int read_token(const struct jwt_text *text, struct reading *reading)
{
	cleanup(part_done) struct part part = { 0 };

	if (text->unreadable)
		return 0;
	if (part_begin(&part, text->token.len) < 0)
		return -1;
	for (size_t i = 0; i < text->token.len; i++) {
		if (!strchr(" \t\r\n", text->token.at[i]))
			part.data[part.size++] = (unsigned char)text->token.at[i];
	}
	reading->offset = text->offset;
	return read_parts((struct span){ (const char *)part.data, part.size }, reading);
}

/* NumericDate of RFC 7519: seconds, a fraction allowed. */
static bool read_time(const struct json *payload, const char *claim, int64_t *ret_time)
{
	double seconds = json_get_real(payload, claim, -1);

	if (!(seconds >= 0 && seconds <= (double)TIME_MAX))
		return false;
	*ret_time = json_kind(json_get(payload, claim)) == JSON_KIND_INT
			    ? json_get_int(payload, claim, 0)
			    : (int64_t)seconds;
	return true;
}

static struct json *time_text(const struct json *payload, const char *claim)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t time;

	if (!read_time(payload, claim, &time))
		return json_build("n");
	return json_build("s", clock_text(time, text, sizeof(text)));
}

static int check_times(const struct reading *reading, int64_t now)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t time;

	if (read_time(reading->payload, "exp", &time) && time < now &&
	    jwt_text_add(reading->problems, "expired", "warning", "it expired on %s",
			 clock_text(time, text, sizeof(text))) < 0)
		return -1;
	if (read_time(reading->payload, "nbf", &time) && time > now)
		return jwt_text_add(reading->problems, "not_yet_valid", "warning",
				    "it is valid only from %s on: is the clock right?",
				    clock_text(time, text, sizeof(text)));
	return 0;
}

static bool holds_port(const struct json *ports, int64_t port)
{
	for (size_t i = 0; i < json_count(ports); i++) {
		if (json_as_int(json_at(ports, i)) == port)
			return true;
	}
	return false;
}

/* The ports of a node's set, each once, in the token's order. NULL when memory is out. */
static struct json *read_ports(const struct json *sets, int64_t set_index)
{
	cleanup_json struct json *ports = json_build("[]");

	for (size_t i = 0; i < json_count(sets) && i < SERVERS_MAX; i++) {
		const struct json *map = json_get(json_at(sets, i), "svc_port_map");

		if (json_get_int(json_at(sets, i), "idx", -1) != set_index)
			continue;
		for (size_t k = 0; k < json_count(map) && k < PORTS_MAX; k++) {
			int64_t port = json_get_int(json_at(map, k), "port", 0);

			if (port < 1 || port > 65535 || holds_port(ports, port))
				continue;
			if (json_append(ports, json_build("I", port)) < 0)
				return NULL;
		}
	}
	return take_ptr(ports);
}

static struct json *read_servers(const struct json *payload)
{
	const struct json *configuration =
		json_get(payload, "service_instance_configuration");
	const struct json *nodes = json_get(configuration, "node_url_list");
	const struct json *sets = json_get(configuration, "svc_port_set_list");
	cleanup_json struct json *servers = json_build("[]");

	for (size_t i = 0; i < json_count(nodes) && i < SERVERS_MAX; i++) {
		const char *url = json_get_string(json_at(nodes, i), "url");
		int64_t set = json_get_int(json_at(nodes, i), "svc_port_set_idx", 0);
		char host[256];

		if (!url || !text_copy(host, sizeof(host), url))
			continue;
		text_sanitize(host);
		if (json_append(servers, json_build("{s:s, s:o}", "host", host, "ports",
						    read_ports(sets, set))) < 0)
			return NULL;
	}
	return take_ptr(servers);
}

static int report(const struct reading *reading, uint64_t size, struct json **ret_check,
		  struct error *err)
{
	const struct json *payload = reading->payload;
	bool valid = true;

	for (size_t i = 0; i < json_count(reading->problems); i++) {
		const char *severity =
			json_get_string(json_at(reading->problems, i), "severity");

		valid = valid && severity && strcmp(severity, "error") != 0;
	}

	*ret_check = json_build(
		"{s:i, s:b, s:O, s:o, s:o, s:o, s:o, s:s, s:I}", "schema", 1, "valid",
		(int)valid, "problems", reading->problems, "issued",
		time_text(payload, "iat"), "not_before", time_text(payload, "nbf"),
		"expires", time_text(payload, "exp"), "servers", read_servers(payload),
		"signature", reading->signature, "size", (int64_t)size);
	if (!*ret_check)
		return error_set_errno(err, ENOMEM, "reading the token");
	return 0;
}

/* A token that somebody has put into base64 once more, and nobody has decoded. */
static int find_coat(struct span file, bool *ret_found)
{
	cleanup(part_done) struct part part = { 0 };
	size_t bad;

	if (part_begin(&part, BASE64_ROOM(file.len)) < 0)
		return -1;
	*ret_found =
		base64_decode(file, BASE64_MIME, part.data, &part.size, &bad) &&
		token_looks_like((struct span){ (const char *)part.data, part.size });
	return 0;
}

int jwt_check(struct span file, int64_t now, struct json **ret_check, struct error *err)
{
	cleanup_json struct json *problems = json_build("[]");
	cleanup(reading_done) struct reading reading = { .problems = problems,
							 .signature = "absent" };
	struct jwt_text text;
	bool coat;

	if (!problems || find_coat(file, &coat) < 0)
		return error_set_errno(err, ENOMEM, "reading the token");
	if (coat)
		return jwt_refuse(
			"not_a_token",
			"it is the base64 of a token: decode it first (base64 -d), "
			"or give it as client_token_base64",
			file.len, ret_check, err);
	if (jwt_text_read(file, problems, &text) < 0)
		return error_set_errno(err, ENOMEM, "reading the token");
	reading.broken = text.broken;
	if (read_token(&text, &reading) < 0 || check_times(&reading, now) < 0)
		return error_set_errno(err, ENOMEM, "reading the token");

	return report(&reading, file.len, ret_check, err);
}

int jwt_refuse(const char *code, const char *message, uint64_t size,
	       struct json **ret_check, struct error *err)
{
	cleanup_json struct json *problems = json_build("[]");
	struct reading reading = { .problems = problems, .signature = "absent" };

	if (!problems || jwt_text_add(problems, code, "error", "%s", message) < 0)
		return error_set_errno(err, ENOMEM, "reading the token");
	return report(&reading, size, ret_check, err);
}
