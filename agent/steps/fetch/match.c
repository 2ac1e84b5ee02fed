/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/match.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/trust.h"
#include "model/url.h"

/* A path is opened here; anything else is for the worker to understand. */
static int add_catalog(struct json *request, const char *catalog, const struct root *root,
		       int number, int *ret_fd, struct error *err)
{
	bool is_path = catalog[0] == '/';
	cleanup_fd int fd = -1;

	if (is_path) {
		if (trust_open(root, catalog, TRUST_PUBLIC, &fd, err) < 0)
			return error_prefix(err, "driver.catalog");
		if (json_set(request, "catalog_input", json_build("i", number)) < 0)
			return error_set_errno(err, ENOMEM, "asking the worker");
	}
	if (json_set(request, "catalog", json_build("s", is_path ? "none" : catalog)) < 0)
		return error_set_errno(err, ENOMEM, "asking the worker");

	*ret_fd = take_fd(fd);
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
	cleanup_json struct json *request = json_build("{s:s, s:s, s:O}", "job", "list",
						       "repository", settings->repository,
						       "http", transport->http);

	if (!request)
		return error_set_errno(err, ENOMEM, "asking the worker");
	if (add_catalog(request, settings->catalog, root, CHANNEL_FIRST_FILE + (int)count,
			&catalog, err) < 0)
		return -1;

	if (transport->index_key &&
	    json_set(request, "index_keys", json_build("i", transport->index_key)) < 0)
		return error_set_errno(err, ENOMEM, "asking the worker");

	memcpy(fds, transport->fds, count * sizeof(fds[0]));
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
