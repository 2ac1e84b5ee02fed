/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/repository/index.h"
#include "model/repository/manifest.h"
#include "model/url.h"
#include "worker/catalog_yaml.h"
#include "worker/digest.h"
#include "worker/index_fetch.h"
#include "worker/job/job.h"
#include "worker/remote.h"

#define MANIFEST "PULP_MANIFEST"
#define PAGE "index page"
#define CATALOG "vgpuDriverCatalog.yaml"
#define MANIFEST_MAX (64u << 20)
#define PAGE_MAX (16u << 20)
#define FILES_MAX 20000
#define FILE_OVERHEAD 116 /* what a file has in JSON besides its name */
/*
 * The result is one line of CHANNEL_LINE_MAX at most: the catalog takes 5 MiB of it, the
 * index 2.
 */
#define FILES_BYTES_MAX ((3u << 20) + (1u << 17))
#define WARNINGS_MAX 20

/* What is read of a repository, entry by entry. */
struct listing {
	struct sink sink;
	struct manifest_reader reader;
	const char *document; /* for warnings */
	const char *source;   /* the document's kind, the contract's word */
	bool verified;        /* it came over https from a verified peer */
	struct json *files, *warnings;
	size_t bytes;
	size_t bad, more; /* lines beyond the warnings, files beyond the limits */
	bool has_catalog;
	char index_sha256[PACKAGE_SHA256_SIZE];
	char catalog_sha256[PACKAGE_SHA256_SIZE];
	bool failed; /* memory is out */
};

static void listing_done(struct listing *listing)
{
	json_free(listing->files);
	json_free(listing->warnings);
}

static void add_warning(struct listing *listing, const char *message)
{
	if (json_append(listing->warnings, json_words(message)) < 0)
		listing->failed = true;
}

static void note_bad(struct listing *listing, size_t line, const char *why)
{
	char message[160];

	if (json_count(listing->warnings) >= WARNINGS_MAX) {
		listing->bad++;
		return;
	}
	(void)text_format(message, sizeof(message), "%s line %zu %s: skipped",
			  listing->document, line, why);
	add_warning(listing, message);
}

/* What a text takes in JSON; control bytes are not in it. */
static size_t printed_size(const char *text)
{
	size_t size = 0;

	for (; *text; text++)
		size += *text == '"' || *text == '\\' ? 2 : 1;
	return size;
}

static void take_file(struct listing *listing, const struct manifest_entry *entry)
{
	cleanup_json struct json *name = json_words(entry->name);
	size_t bytes = printed_size(json_as_string(name)) + FILE_OVERHEAD;

	if (json_count(listing->files) == FILES_MAX ||
	    listing->bytes + bytes > FILES_BYTES_MAX || entry->size > INT64_MAX) {
		listing->more++;
		return;
	}
	listing->bytes += bytes;
	if (json_append(listing->files,
			json_build("{s:O, s:I, s:s}", "name", name, "size",
				   (int64_t)entry->size, "sha256", entry->sha256)) < 0)
		listing->failed = true;
}

static void take_entry(void *context, const struct manifest_entry *entry, size_t line,
		       const char *why)
{
	struct listing *listing = context;

	if (why) {
		note_bad(listing, line, why);
	} else if (strcmp(entry->name, CATALOG) == 0) {
		listing->has_catalog = true;
		(void)text_copy(listing->catalog_sha256, sizeof(listing->catalog_sha256),
				entry->sha256);
	} else if (strcmp(entry->name, INDEX_FILE) == 0) {
		(void)text_copy(listing->index_sha256, sizeof(listing->index_sha256),
				entry->sha256);
	} else if (package_kind_of(span_of(entry->name)) != PACKAGE_NONE ||
		   index_is_archive(entry->name)) {
		take_file(listing, entry);
	}
}

/* Forgets what was read; also for a transfer that begins anew. */
static int begin_listing(struct listing *listing, struct error *err)
{
	listing_done(listing);
	listing->files = json_build("[]");
	listing->warnings = json_build("[]");
	listing->bytes = listing->bad = listing->more = 0;
	listing->has_catalog = false;
	listing->index_sha256[0] = '\0';
	manifest_begin(&listing->reader, take_entry, listing);

	if (!listing->files || !listing->warnings)
		return error_set_errno(err, ENOMEM, "reading the repository");
	return 0;
}

static int feed(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct listing *listing = (struct listing *)(void *)sink;

	if (!manifest_feed(&listing->reader, data, size))
		return error_set(err, ERROR_INTEGRITY,
				 MANIFEST " has more than %d lines: refused",
				 MANIFEST_ENTRIES_MAX);
	if (listing->failed)
		return error_set_errno(err, ENOMEM, "reading the repository");
	return 0;
}

static int restart(struct sink *sink, struct error *err)
{
	return begin_listing((struct listing *)(void *)sink, err);
}

/* Says what was left out, after the last entry. */
static int finish(struct listing *listing, struct error *err)
{
	char message[160];

	if (listing->bad > 0) {
		(void)text_format(message, sizeof(message),
				  "%s: %zu more bad lines skipped", listing->document,
				  listing->bad);
		add_warning(listing, message);
	}
	if (listing->more > 0) {
		(void)text_format(message, sizeof(message),
				  "%s: %zu more files than can be looked at",
				  listing->document, listing->more);
		add_warning(listing, message);
	}
	if (listing->failed)
		return error_set_errno(err, ENOMEM, "reading the repository");
	return 0;
}

/* 0 with the repository's slash, or an error. */
static int make_url(const struct json *request, const char *name, char ret_url[URL_MAX],
		    struct error *err)
{
	const char *repository = json_get_string(request, "repository");

	if (!repository || !text_format(ret_url, URL_MAX, "%s%s%s", repository,
					text_ends(repository, "/") ? "" : "/", name))
		return error_set(err, ERROR_USAGE,
				 "the repository's URL is missing or too long");
	return 0;
}

static int read_manifest(const struct json *request, struct remote *remote,
			 struct listing *listing, struct error *err)
{
	char url[URL_MAX];
	struct http_request get = { .url = url, .limit = MANIFEST_MAX, .optional = true };
	struct http_answer answer;

	listing->document = MANIFEST;
	listing->sink = (struct sink){ .write = feed, .restart = restart };
	if (make_url(request, MANIFEST, url, err) < 0 ||
	    begin_listing(listing, err) < 0 ||
	    remote_get(remote, &get, &listing->sink, &answer, err) < 0)
		return -1;
	if (!manifest_end(&listing->reader))
		return error_set(err, ERROR_INTEGRITY,
				 MANIFEST " has more than %d lines: refused",
				 MANIFEST_ENTRIES_MAX);

	listing->verified = answer.verified;
	return finish(listing, err);
}

static int read_page(const struct json *request, struct remote *remote,
		     struct listing *listing, struct error *err)
{
	cleanup(remote_text_done) struct remote_text html = { .text = NULL };
	char url[URL_MAX];

	listing->document = PAGE;
	if (make_url(request, "", url, err) < 0 || begin_listing(listing, err) < 0)
		return -1;
	if (remote_get_text(remote, url, PAGE_MAX, &html, err) < 0) {
		if (err->errnum == ENOENT)
			(void)error_hint(err, "there is neither " MANIFEST
					      " nor an index page: is the path right, "
					      "and has the Pulp repository a "
					      "publication?");
		return -1;
	}

	listing->verified = html.verified;
	manifest_listing(html.text, html.size, take_entry, listing);
	return finish(listing, err);
}

/* The catalog of a URL; `sha256` from the manifest, or "". */
static int fetch_catalog(struct remote *remote, const char *url, const char *sha256,
			 struct json **ret_catalog, struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(digest_done) struct digest digest = { .context = NULL };
	struct http_request get = { .url = url,
				    .limit = CATALOG_YAML_MAX,
				    .optional = true };
	char actual[DIGEST_TEXT_SIZE];
	struct http_answer answer;

	sink_memory_begin(&memory, CATALOG_YAML_MAX);
	if (digest_begin(&digest, &memory.sink, err) < 0 ||
	    remote_get(remote, &get, &digest.sink, &answer, err) < 0 ||
	    digest_end(&digest, actual, err) < 0)
		return -1;
	if (sha256[0] && strcmp(sha256, actual) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "its SHA-256 is not the manifest's");

	return catalog_yaml_read(memory.data ? memory.data : "", memory.size, ret_catalog,
				 err);
}

static int read_catalog_file(int fd, struct json **ret_catalog, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t size;

	(void)lseek(fd, 0, SEEK_SET); /* where the caller has written it before */
	if (file_read_fd(fd, CATALOG_YAML_MAX, &text, &size, err) < 0)
		return -1;
	return catalog_yaml_read(text, size, ret_catalog, err);
}

/* One that the repository merely has and that is unusable is a warning. */
static int read_own_catalog(const struct json *request, struct remote *remote,
			    struct listing *listing, struct json **ret_catalog,
			    struct error *err)
{
	struct error why = ERROR_INIT;
	char url[URL_MAX], message[160];

	if (make_url(request, CATALOG, url, err) < 0)
		return -1;
	if (fetch_catalog(remote, url, listing->catalog_sha256, ret_catalog, &why) == 0)
		return 0;
	/* A veto that only did not come through must not be overlooked. */
	if (why.code != ERROR_INTEGRITY && why.errnum != ENOENT) {
		*err = why;
		return -1;
	}

	(void)text_format(message, sizeof(message), CATALOG " is not used: %s", why.text);
	add_warning(listing, message);
	*ret_catalog = NULL;
	return listing->failed ? error_set_errno(err, ENOMEM, "reading the catalog") : 0;
}

/* Where the index must be signed nothing else of the server's has a say. */
static int skip_own_catalog(struct listing *listing, struct error *err)
{
	add_warning(listing,
		    CATALOG " is not used: driver.index_key is set, and nobody signed "
			    "it; driver.catalog can name it");
	return listing->failed ? error_set_errno(err, ENOMEM, "reading the catalog") : 0;
}

/* `ret_catalog` stays NULL where there is none. */
static int read_catalog(const struct json *request, struct remote *remote,
			struct listing *listing, struct json **ret_catalog,
			struct error *err)
{
	const char *wanted = json_get_string(request, "catalog");
	int fd = (int)json_get_int(request, "catalog_input", -1);
	bool keys = json_get_int(request, "index_keys", -1) >= 0;
	int result = 0;

	if (fd >= 0)
		result = read_catalog_file(fd, ret_catalog, err);
	else if (keys && wanted && strcmp(wanted, "auto") == 0 && listing->has_catalog)
		result = skip_own_catalog(listing, err);
	else if (wanted && strcmp(wanted, "auto") == 0 && listing->has_catalog)
		result = read_own_catalog(request, remote, listing, ret_catalog, err);

	return result < 0 ? error_prefix(err, "the driver catalog") : 0;
}

static int read_index(const struct json *request, struct remote *remote,
		      struct listing *listing, struct index_fetched *ret_index,
		      struct error *err)
{
	char repository[URL_MAX];
	const struct index_place place = {
		.remote = remote,
		.repository = repository,
		.sha256 = listing->index_sha256,
		.keys = (int)json_get_int(request, "index_keys", -1),
	};

	if (make_url(request, "", repository, err) < 0)
		return -1;
	return index_fetch(&place, listing->warnings, ret_index, err);
}

/* The manifest, else a page; an index can do without either. */
static int read_files(const struct json *request, struct remote *remote,
		      struct listing *listing, struct index_fetched *index,
		      struct error *err)
{
	struct error none = ERROR_INIT;

	listing->source = "manifest";
	if (read_manifest(request, remote, listing, err) == 0)
		return read_index(request, remote, listing, index, err);
	if (err->errnum != ENOENT)
		return -1;

	listing->source = "listing";
	if (read_page(request, remote, listing, &none) == 0)
		return read_index(request, remote, listing, index, err);
	*err = none;
	if (none.errnum != ENOENT)
		return -1;

	listing->source = "index";
	if (begin_listing(listing, err) < 0 ||
	    read_index(request, remote, listing, index, err) < 0)
		return -1;
	if (!index->json)
		*err = none;
	listing->verified = false;
	return index->json ? 0 : -1;
}

int job_list(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(listing_done) struct listing listing = { .document = MANIFEST };
	cleanup_json struct json *catalog = NULL, *index = NULL;
	struct index_fetched fetched = { .json = NULL };
	cleanup_remote struct remote *remote = NULL;
	int result;

	if (remote_open(request, &remote, err) < 0)
		return -1;
	result = read_files(request, remote, &listing, &fetched, err);
	index = fetched.json;
	if (result < 0 || read_catalog(request, remote, &listing, &catalog, err) < 0)
		return -1;

	*ret_result =
		json_build("{s:s, s:b, s:O, s:O, s:o, s:o, s:b, s:b, s:s?}", "source",
			   listing.source, "verified", (int)listing.verified, "files",
			   listing.files, "warnings", listing.warnings, "catalog",
			   catalog ? take_ptr(catalog) : json_build("n"), "index",
			   index ? take_ptr(index) : json_build("n"), "index_verified",
			   (int)fetched.verified, "index_signed", (int)fetched.is_signed,
			   "index_key", fetched.key[0] ? fetched.key : NULL);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "reading the repository");
	return 0;
}
