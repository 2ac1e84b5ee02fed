/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/bound.h"

#include <string.h>

#include "base/text.h"
#include "model/url.h"

bool bound_is(const struct context *ctx)
{
	const struct settings *settings = &ctx->settings;

	return settings->driver_layer == SETTINGS_METADATA && settings->driver.url[0] &&
	       settings->driver.index_key[0];
}

/* Up to the last slash of the path. */
static struct span folder_of(const char *url)
{
	struct span path = { url, strcspn(url, "?#") };

	while (path.len > 0 && path.at[path.len - 1] != '/')
		path.len--;
	return path;
}

int bound_repository(const struct context *ctx, char *ret_url, size_t size,
		     struct error *err)
{
	const char *own = ctx->base.driver.repository;

	if (own[0] ? text_copy(ret_url, size, own)
		   : span_copy(folder_of(ctx->settings.driver.url), ret_url, size))
		return 0;
	return error_set(err, ERROR_USAGE, "driver.url is too long");
}

const struct index_file *bound_file(const struct repository *repository, struct span name,
				    const char *sha256)
{
	const struct index *index = repository->index;

	for (size_t i = 0; repository->index_signed && index && i < index->file_count;
	     i++) {
		const struct index_file *file = &index->files[i];
		char known[3 * PACKAGE_NAME_MAX];

		if (url_encode_path(text_base_name(file->name), known, sizeof(known)) &&
		    span_equals(name, known) &&
		    (!sha256[0] || strcmp(sha256, file->sha256) == 0))
			return file;
	}
	return NULL;
}

int bound_take(const struct context *ctx, const struct repository *repository,
	       struct package *package, struct error *err)
{
	const struct settings_driver *driver = &ctx->settings.driver;
	struct span folder = folder_of(driver->url);
	const struct span name = { driver->url + folder.len,
				   strcspn(driver->url, "?#") - folder.len };
	const struct index_file *file = bound_file(repository, name, driver->sha256);

	if (!file) {
		(void)error_set(err, ERROR_INTEGRITY,
				"the metadata's driver.url names %.100s%s, which the "
				"signed " INDEX_FILE " does not name",
				package->name,
				driver->sha256[0] ? " with its driver.sha256" : "");
		return error_hint(err,
				  "driver.index_key (%s) binds what the metadata says: "
				  "publish the file in the signed index, or allow it as "
				  "root with --set driver.url=URL",
				  settings_where(&ctx->settings, "driver.index_key"));
	}
	package->size = file->size;
	(void)text_copy(package->sha256, sizeof(package->sha256), file->sha256);
	return 0;
}
