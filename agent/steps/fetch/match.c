/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/match.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"
#include "base/trust.h"
#include "model/url.h"
#include "steps/fetch/transport_for.h"

#define CATALOG_MAX (2 << 20) /* bytes; the real one has half a million */

/*
 * Into memory, by a job of its own: its server need not be the repository's, and neither
 * gets the credentials of the other.
 */
static int fetch_catalog(const char *url, const struct transport *transport,
			 const struct channel *channel, int *ret_fd, struct error *err)
{
	size_t count = transport->fd_count;
	int fds[TRANSPORT_FDS_MAX + 1];
	cleanup(transport_for_done) struct transport_for part = TRANSPORT_FOR_INIT;
	cleanup_json struct json *request = NULL, *answer = NULL;
	cleanup_fd int fd = memfd_create("catalog", MFD_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "keeping it in memory");
	if (transport_for(transport, url, &part, err) < 0)
		return -1;
	request = json_build("{s:s, s:s, s:i, s:i, s:O}", "job", "fetch", "url", url,
			     "output", CHANNEL_FIRST_FILE + (int)count, "max_size",
			     CATALOG_MAX, "http", part.transport.http);
	if (!request)
		return error_set_errno(err, ENOMEM, "asking the worker");
	memcpy(fds, part.transport.fds, count * sizeof(fds[0]));
	fds[count] = fd;
	if (channel_call(channel, request, fds, count + 1, &answer, err) < 0)
		return -1;

	*ret_fd = take_fd(fd);
	return 0;
}

/* What driver.catalog names; -1 where that is nothing, or the repository's own. */
static int open_catalog(const char *catalog, const struct transport *transport,
			const struct root *root, const struct channel *channel,
			int *ret_fd, struct error *err)
{
	*ret_fd = -1;
	if (strcmp(catalog, "auto") == 0 || strcmp(catalog, "none") == 0)
		return 0;
	if (catalog[0] != '/')
		return fetch_catalog(catalog, transport, channel, ret_fd, err) < 0
			       ? error_prefix(err, "the driver catalog")
			       : 0;
	return trust_open(root, catalog, TRUST_PUBLIC, ret_fd, err) < 0
		       ? error_prefix(err, "driver.catalog")
		       : 0;
}

static int add_catalog(struct json *request, const char *catalog, int fd, int number,
		       struct error *err)
{
	if ((fd >= 0 &&
	     json_set(request, "catalog_input", json_build("i", number)) < 0) ||
	    json_set(request, "catalog", json_build("s", fd >= 0 ? "none" : catalog)) < 0)
		return error_set_errno(err, ENOMEM, "asking the worker");
	return 0;
}

/*
 * The job "list" of the worker: manifest or index page, index with its signature,
 * catalog.
 */
static int ask_for_listing(const struct settings_driver *settings,
			   const struct transport *transport, const struct root *root,
			   const struct channel *channel, struct json **ret_answer,
			   struct error *err)
{
	int fds[TRANSPORT_FDS_MAX + 1];
	size_t count = transport->fd_count;
	cleanup_fd int catalog = -1;
	cleanup(transport_for_done) struct transport_for part = TRANSPORT_FOR_INIT;
	cleanup_json struct json *request = NULL;

	if (open_catalog(settings->catalog, transport, root, channel, &catalog, err) <
		    0 ||
	    transport_for(transport, settings->repository, &part, err) < 0)
		return -1;
	request = json_build("{s:s, s:s, s:O}", "job", "list", "repository",
			     settings->repository, "http", part.transport.http);
	if (!request)
		return error_set_errno(err, ENOMEM, "asking the worker");
	if (add_catalog(request, settings->catalog, catalog,
			CHANNEL_FIRST_FILE + (int)count, err) < 0)
		return -1;

	if (transport->index_key &&
	    json_set(request, "index_keys", json_build("i", transport->index_key)) < 0)
		return error_set_errno(err, ENOMEM, "asking the worker");

	memcpy(fds, part.transport.fds, count * sizeof(fds[0]));
	if (catalog >= 0)
		fds[count++] = catalog;
	return channel_call(channel, request, fds, count, ret_answer, err);
}

int match_list(const struct settings_driver *settings, const struct transport *transport,
	       const struct root *root, const struct channel *channel,
	       struct repository *ret_repository, struct error *err)
{
	cleanup_json struct json *answer = NULL;
	char shown[SETTINGS_URL_MAX];

	(void)url_redact(settings->repository, shown, sizeof(shown));
	if (!text_starts(settings->repository, "http://") &&
	    !text_starts(settings->repository, "https://"))
		return error_set(err, ERROR_USAGE,
				 "driver.repository must be an http:// or https:// URL");

	if (ask_for_listing(settings, transport, root, channel, &answer, err) < 0 ||
	    repository_from_json(answer, ret_repository, err) < 0) {
		/* List, index and signature may be those of two publications. */
		if (err->code == ERROR_INTEGRITY)
			(void)error_passing(err, true);
		return strstr(err->text, shown)
			       ? error_prefix(err, "listing")
			       : error_prefix(err, "listing %.200s", shown);
	}
	return 0;
}
