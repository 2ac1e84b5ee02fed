/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"
#include "worker/http/http_date.h"
#include "worker/job/job.h"

#define SERVERS_MAX 8
#define TIMEOUT_MAX_S 60
#define ANSWER_S 12 /* then what is known is told: who asked waits for 20 s */

/* What a connection attempt says, from best to worst. */
enum outcome { OPEN, REFUSED, FILTERED, UNRESOLVED };

static const char *const outcome_names[] = { "open", "refused", "filtered", "dns" };

#define PORT_PLAIN 80 /* what NVIDIA's tokens name for plain http */

static void cleanup_addresses(struct addrinfo **list)
{
	if (*list)
		freeaddrinfo(*list);
}

/* One address; nothing is sent, the connection is closed at once. */
static enum outcome try_address(const struct addrinfo *address, int timeout_ms)
{
	cleanup_fd int fd =
		socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int problem = 0;

	if (fd < 0)
		return FILTERED;
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return OPEN;
	if (errno != EINPROGRESS)
		return errno == ECONNREFUSED ? REFUSED : FILTERED;
	if (poll(&wait, 1, timeout_ms) <= 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0)
		return FILTERED;
	return problem == 0 ? OPEN : problem == ECONNREFUSED ? REFUSED : FILTERED;
}

static enum outcome try_server(const char *host, int port, int timeout_ms)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICSERV };
	cleanup(cleanup_addresses) struct addrinfo *list = NULL;
	enum outcome best = FILTERED;
	char service[8];

	(void)text_format(service, sizeof(service), "%d", port);
	if (getaddrinfo(host, service, &hints, &list) != 0)
		return UNRESOLVED;
	for (const struct addrinfo *at = list; at && best != OPEN; at = at->ai_next) {
		enum outcome one = try_address(at, timeout_ms);

		if (one < best)
			best = one;
	}
	return best;
}

/* Of a server that takes connections: whether TLS comes about, and what its clock says.
 */
static struct json *ask_date(const char *host, int port, int timeout_s)
{
	struct http_date date = { .answered = false };
	struct error err = ERROR_INIT;

	if (http_date_get(host, port, port != PORT_PLAIN, timeout_s, &date, &err) < 0)
		return json_build("{s:s, s:I, s:s, s:o, s:n}", "host", host, "port",
				  (int64_t)port, "outcome",
				  date.tls_failed ? "tls" : "open", "detail",
				  json_words(err.text), "offset");
	return json_build("{s:s, s:I, s:s, s:n, s:o}", "host", host, "port",
			  (int64_t)port, "outcome", "open", "detail", "offset",
			  date.answered ? json_build("I", date.offset_s)
					: json_build("n"));
}

int job_probe(const struct json *request, struct json **ret_result, struct error *err)
{
	const struct json *servers = json_get(request, "servers");
	int64_t timeout_s = json_get_int(request, "timeout", 3);
	bool date = json_get_bool(request, "date", false);
	cleanup_json struct json *list = json_build("[]");
	double end = clock_monotonic() + ANSWER_S;

	if (timeout_s < 1 || timeout_s > TIMEOUT_MAX_S)
		return error_set(err, ERROR_INTERNAL, "probe: no such timeout");

	for (size_t i = 0; list && i < json_count(servers) && i < SERVERS_MAX &&
			   clock_monotonic() < end;
	     i++) {
		const struct json *server = json_at(servers, i);
		const char *host = json_get_string(server, "host");
		const struct json *ports = json_get(server, "ports");
		int64_t port = json_count(ports) ? json_as_int(json_at(ports, 0)) : 443;
		enum outcome outcome;
		struct json *item;

		if (!host || !host[0] || port < 1 || port > 65535)
			continue;
		outcome = try_server(host, (int)port, (int)timeout_s * 1000);
		if (outcome == OPEN && date)
			item = ask_date(host, (int)port, (int)timeout_s);
		else
			item = json_build("{s:s, s:I, s:s, s:n, s:n}", "host", host,
					  "port", port, "outcome", outcome_names[outcome],
					  "detail", "offset");
		if (json_append(list, item) < 0)
			return error_set_errno(err, ENOMEM, "probe");
	}

	*ret_result = json_build("{s:O}", "servers", list);
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "probe");
}
