/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/transport_for.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/file.h"
#include "base/memory_file.h"
#include "model/netrc.h"

#define NETRC_MAX (4u << 20)

static const char *const credentials[] = { "cert", "key", "netrc", "header" };

void transport_for_done(struct transport_for *part)
{
	if (part->netrc >= 0)
		(void)close(part->netrc);
	json_free(part->transport.http);
	*part = TRANSPORT_FOR_INIT;
}

struct copying {
	struct json *to;
	bool failed;
};

static bool copy_public(void *context, const char *key, const struct json *value)
{
	struct copying *copying = context;

	for (size_t i = 0; i < ARRAY_SIZE(credentials); i++) {
		if (strcmp(credentials[i], key) == 0)
			return true;
	}
	copying->failed = json_set(copying->to, key, json_build("O", value)) < 0;
	return !copying->failed;
}

/* Where the file of that key stands among the descriptors; NULL: there is none. */
static int *find_file(struct transport *transport, const struct json *http,
		      const char *key)
{
	int64_t number = json_get_int(http, key, -1) - CHANNEL_FIRST_FILE;

	return number < 0 || (uint64_t)number >= transport->fd_count
		       ? NULL
		       : &transport->fds[number];
}

static int withhold(const struct transport *all, struct transport *part,
		    struct error *err)
{
	struct copying copying = { .to = part->http = json_build("{}") };

	for (size_t i = 0; i < ARRAY_SIZE(credentials); i++) {
		int *fd = find_file(part, all->http, credentials[i]);

		if (fd)
			*fd = -1;
	}
	json_each(all->http, copy_public, &copying);
	return !part->http || copying.failed
		       ? error_set_errno(err, ENOMEM, "preparing the transport")
		       : 0;
}

/* The netrc becomes one of this host alone. */
static int narrow_netrc(const char *host, struct transport_for *part, struct error *err)
{
	int *fd = find_file(&part->transport, part->transport.http, "netrc");
	cleanup_free char *text = NULL, *own = NULL;
	size_t size;

	if (!fd)
		return 0;
	if (lseek(*fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "reading http.netrc_file");
	if (file_read_fd(*fd, NETRC_MAX, &text, &size, err) < 0)
		return error_prefix(err, "http.netrc_file");
	own = malloc(size + 1);
	if (own) {
		size_t used = netrc_of_host(text, size, host, own);

		part->netrc = *fd = memory_file("vgpu-netrc", own, used, err);
		explicit_bzero(own, used);
	}
	explicit_bzero(text, size);
	if (!own)
		return error_set_errno(err, ENOMEM, "preparing the transport");
	return *fd < 0 ? error_prefix(err, "http.netrc_file") : 0;
}

int transport_for(const struct transport *all, const char *url,
		  struct transport_for *ret_part, struct error *err)
{
	cleanup(transport_for_done) struct transport_for part = TRANSPORT_FOR_INIT;
	struct url server;

	part.transport = *all;
	part.transport.http = NULL; /* not ours */
	if (!url_parse(url, &server) ||
	    !transport_trusts(json_get(all->http, "trusted_hosts"), &server)) {
		if (withhold(all, &part.transport, err) < 0)
			return -1;
	} else {
		part.transport.http = json_build("O", all->http);
		if (!part.transport.http)
			return error_set_errno(err, ENOMEM, "preparing the transport");
		if (narrow_netrc(server.host, &part, err) < 0)
			return -1;
	}
	*ret_part = part;
	part = TRANSPORT_FOR_INIT;
	return 0;
}
