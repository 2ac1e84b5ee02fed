/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/fetch.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"
#include "model/url.h"

#define NAMES_MAX 10000

const char *fetch_integrity_name(enum fetch_integrity integrity)
{
	static const char *const names[] = {
		[FETCH_NONE] = "none",
		[FETCH_SHA256_PIN] = "sha256-pin",
		[FETCH_SIGNATURE] = "signature",
		[FETCH_INDEX_TLS] = "index-tls",
		[FETCH_MANIFEST_TLS] = "manifest-tls",
		[FETCH_TLS] = "tls",
		[FETCH_LOCAL_FILE] = "local-file",
	};

	return names[integrity];
}

bool fetch_is_local(const struct fetch_input *input)
{
	return text_starts(input->url, "file://");
}

enum fetch_integrity fetch_vouch(const struct fetch_input *input, bool https)
{
	if (input->pinned)
		return FETCH_SHA256_PIN;
	if (fetch_is_local(input))
		return FETCH_LOCAL_FILE;
	if (input->index_signed)
		return FETCH_SIGNATURE;
	if (input->index_verified)
		return FETCH_INDEX_TLS;
	if (input->manifest_verified && input->package->sha256[0])
		return FETCH_MANIFEST_TLS;
	return https ? FETCH_TLS : FETCH_NONE;
}

enum fetch_integrity fetch_foresee(const struct fetch_input *input)
{
	return fetch_vouch(input, text_starts(input->url, "https://"));
}

int fetch_judge(const struct fetch_input *input, enum fetch_integrity integrity,
		struct error *err)
{
	char shown[SETTINGS_URL_MAX];

	if (integrity != FETCH_NONE ||
	    strcmp(input->settings->driver.integrity, "require") != 0)
		return 0;
	(void)error_set(err, ERROR_INTEGRITY, "nothing vouches for %s",
			url_redact(input->url, shown, sizeof(shown)));
	return error_hint(err,
			  "one of: use https:// for the repository; pin the file with "
			  "driver.sha256, or a signed index with driver.index_key; set "
			  "driver.integrity to \"warn\"");
}

int fetch_check(const struct fetch_input *input, struct error *err)
{
	return fetch_judge(input, fetch_foresee(input), err);
}

const char *fetch_suffix(const struct fetch_input *input)
{
	enum package_kind kind = input->package->kind;

	if (text_ends(input->url, ".tar.gz"))
		return "tar.gz";
	if (kind == PACKAGE_NONE)
		kind = package_kind_of(span_of(input->url));
	return kind == PACKAGE_BUNDLE ? "zip"
	       : kind == PACKAGE_NONE ? "run"
				      : package_kind_name(kind);
}

enum transfer fetch_transfer(const struct fetch_input *input)
{
	const struct transfer_facts facts = {
		.local = fetch_is_local(input),
		.bundle = strcmp(fetch_suffix(input), "zip") == 0,
		.pinned = input->pinned,
		.indexed = input->entry != NULL,
		.summed = input->package->sha256[0] &&
			  (input->index_signed || input->index_verified),
		.https = text_starts(input->url, "https://"),
		.warn = strcmp(input->settings->driver.integrity, "warn") == 0,
	};

	return transfer_decide(&facts);
}

void fetch_result_done(struct fetch_result *result)
{
	if (result->fd >= 0)
		(void)close(result->fd);
	result->fd = -1;
}

int fetch_prune(const struct root *root, const char *keep, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_CACHE, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[PACKAGE_NAME_MAX];

		if (!text_format(path, sizeof(path), PATHS_CACHE "/%s", *name) ||
		    (keep && strcmp(path, keep) == 0))
			continue;
		if (root_remove_tree(root, path, err) < 0)
			return -1;
	}
	return 0;
}
