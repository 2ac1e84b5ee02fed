/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "base/trust.h"
#include "model/paths.h"
#include "model/url.h"

#define CONFIG_SIZE_MAX (1u << 20)
#define CONFIG_FILES_MAX 256

static int read_one(struct settings *settings, const struct root *root, const char *path,
		    enum settings_layer layer, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	size_t size;

	if (trust_open(root, path, TRUST_PUBLIC, &fd, err) < 0)
		return -1;
	if (file_read_fd(fd, CONFIG_SIZE_MAX, &text, &size, err) < 0)
		return error_prefix(err, "%s", path);
	return settings_read(settings, text, size, path, layer, err);
}

/* The caller's own file: a relative name is his, too. */
static int read_named(const struct root *caller, const char *path,
		      struct settings *settings, struct error *err)
{
	cleanup_free char *absolute = root_absolute(path);

	if (!absolute)
		return error_set_errno(err, ENOMEM, "reading the configuration %s", path);
	if (read_one(settings, caller, absolute, SETTINGS_FILE, err) == 0)
		return 0;
	if (err->errnum == ENOENT || err->errnum == ENOTDIR)
		(void)error_hint(
			err,
			"--config names a file that is there; without it " PATHS_CONFIG
			" is read");
	return err->code == ERROR_PERMISSION ? -1 : error_recode(err, ERROR_USAGE);
}

static int read_conf_d(const struct root *root, struct settings *settings,
		       struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_CONFIG_DIR, CONFIG_FILES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[512];

		if (!text_ends(*name, ".conf") || (*name)[0] == '.')
			continue;
		if (!text_format(path, sizeof(path), PATHS_CONFIG_DIR "/%s", *name))
			return error_set(err, ERROR_USAGE, "%s: name too long", *name);
		if (read_one(settings, root, path, SETTINGS_CONF_D, err) < 0)
			return -1;
	}
	return 0;
}

int config_read(const struct options *options, const struct root *root,
		const struct root *caller, struct settings *ret_base, struct error *err)
{
	struct error missing = ERROR_INIT;

	settings_init(ret_base);
	if (options->config)
		return read_named(caller, options->config, ret_base, err);

	if (read_one(ret_base, root, PATHS_CONFIG, SETTINGS_FILE, &missing) < 0 &&
	    missing.errnum != ENOENT) {
		*err = missing;
		return -1;
	}
	return read_conf_d(root, ret_base, err);
}

/* --driver FILE is driver.url of the caller's. */
static int take_driver(const char *file, struct settings *settings, struct error *err)
{
	cleanup_free char *path = root_absolute(file);
	cleanup_free char *assignment = path ? text_print("driver.url=file://%s", path)
					     : NULL;

	if (!assignment)
		return error_set_errno(err, ENOMEM, "--driver");
	return settings_set(settings, assignment, err);
}

/* DKMS builds: both cannot be had. */
static int refuse_contradiction(const struct settings_driver *driver, struct error *err)
{
	if (strcmp(driver->dkms, "yes") != 0 || strcmp(driver->prebuilt, "only") != 0)
		return 0;
	(void)error_set(err, ERROR_USAGE,
			"driver.dkms is \"yes\" and driver.prebuilt is \"only\": DKMS "
			"uses no prebuilt modules");
	return error_hint(err, "leave one of them at its default");
}

int config_assemble(const struct options *options, const struct settings *base,
		    const struct json *metadata, struct json *warnings,
		    struct settings *ret_settings, struct error *err)
{
	*ret_settings = *base;

	/* First, though they are above it all: metadata.keys may be among them. */
	for (size_t i = 0; i < options->set_count; i++) {
		if (settings_set(ret_settings, options->sets[i], err) < 0)
			return -1;
	}
	if (metadata && settings_read_metadata(ret_settings, metadata, warnings, err) < 0)
		return -1;
	if (options->driver && take_driver(options->driver, ret_settings, err) < 0)
		return -1;
	if (refuse_contradiction(&ret_settings->driver, err) < 0)
		return -1;
	return settings_check(ret_settings, err);
}
