/* SPDX-License-Identifier: Apache-2.0 */
#include "core/transport.h"

#include <errno.h>
#include <string.h>

#include "base/channel.h"
#include "base/file.h"
#include "base/memory_file.h"
#include "base/text.h"
#include "base/trust.h"
#include "model/url.h"

#define FILE_SIZE_MAX (4u << 20) /* a whole CA bundle is below 1 MiB */

struct source {
	const char *key;  /* in the worker's protocol; NULL: no part of "http" */
	const char *name; /* of the setting */
	const char *path;
	enum trust trust;
};

static int open_source(const struct source *source, const struct root *root,
		       struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	size_t size;
	int memory;

	if (trust_open(root, source->path, source->trust, &fd, err) < 0)
		return error_recode(err, err->code == ERROR_INTERNAL ? ERROR_USAGE
								     : err->code);
	if (file_read_fd(fd, FILE_SIZE_MAX, &text, &size, err) < 0)
		return error_prefix(err, "%s", source->path);

	memory = memory_file("vgpu-transport", text, size, err);
	explicit_bzero(text, size);
	return memory;
}

static int add_source(struct transport *transport, const struct source *source,
		      const struct root *root, struct error *err)
{
	int fd, number = CHANNEL_FIRST_FILE + (int)transport->fd_count;

	if (!source->path[0])
		return 0;
	fd = open_source(source, root, err);
	if (fd < 0)
		return error_prefix(err, "%s", source->name);

	transport->fds[transport->fd_count++] = fd;
	if (!source->key)
		transport->index_key = number;
	else if (json_set(transport->http, source->key, json_build("i", number)) < 0)
		return error_set_errno(err, ENOMEM, "preparing the transport");
	return 0;
}

/* A host that an https URL names gets no secret over http, whoever names it there. */
static int add_hosts(struct json *hosts, const struct settings_driver *driver,
		     struct error *err)
{
	const char *const urls[] = { driver->repository, driver->url, driver->catalog };

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		char entry[sizeof("https://") + sizeof(((struct url *)NULL)->host)];
		struct url url;

		if (!url_parse(urls[i], &url))
			continue; /* "", "auto", file:// */
		(void)text_format(entry, sizeof(entry), "%s%s",
				  url.https ? "https://" : "", url.host);
		if (json_append(hosts, json_build("s", entry)) < 0)
			return error_set_errno(err, ENOMEM, "preparing the transport");
	}
	return 0;
}

static int begin(const struct settings *settings, const struct settings *base,
		 struct transport *transport, struct error *err)
{
	const struct settings_http *http = &settings->http;
	cleanup_json struct json *hosts = json_build("[]");

	if (!hosts || add_hosts(hosts, &base->driver, err) < 0)
		return error_set_errno(err, ENOMEM, "preparing the transport");
	/* What root types is as good as what root wrote into a file. */
	if (settings->driver_layer == SETTINGS_COMMAND &&
	    add_hosts(hosts, &settings->driver, err) < 0)
		return -1;

	transport->http = json_build("{s:s, s:i, s:i, s:i, s:i, s:O}", "proxy",
				     http->proxy, "rate_limit_kib", http->rate_limit_kib,
				     "retries", http->retries, "connect_timeout",
				     http->connect_timeout, "stall_timeout",
				     http->stall_timeout, "trusted_hosts", hosts);
	return transport->http ? 0
			       : error_set_errno(err, ENOMEM, "preparing the transport");
}

int transport_open(const struct settings *settings, const struct settings *base,
		   const struct root *root, const struct root *caller,
		   struct transport *ret_transport, struct error *err)
{
	const struct settings_http *http = &settings->http;
	const struct source sources[] = {
		{ "ca", "http.ca_file", http->ca_file, TRUST_PUBLIC },
		/* Without a file for the key, the key is in this one. */
		{ "cert", "http.client_cert", http->client_cert,
		  http->client_key[0] ? TRUST_PUBLIC : TRUST_SECRET },
		{ "key", "http.client_key", http->client_key, TRUST_SECRET },
		{ "netrc", "http.netrc_file", http->netrc_file, TRUST_SECRET },
		{ "header", "http.header_file", http->header_file, TRUST_SECRET },
		{ NULL, "driver.index_key", settings->driver.index_key, TRUST_PUBLIC },
	};
	struct transport transport = { .http = NULL };

	if (begin(settings, base, &transport, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		bool callers = settings_is_callers(settings, sources[i].name);

		if (add_source(&transport, &sources[i], callers ? caller : root, err) <
		    0) {
			transport_done(&transport);
			return -1;
		}
	}
	*ret_transport = transport;
	return 0;
}

void transport_done(struct transport *transport)
{
	for (size_t i = 0; i < transport->fd_count; i++)
		(void)close(transport->fds[i]);
	json_free(transport->http);
	*transport = (struct transport){ .http = NULL };
}
