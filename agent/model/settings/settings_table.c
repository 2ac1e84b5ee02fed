/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings_table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/license/gridd_conf.h"

#define MEMBER(member)                               \
	.offset = offsetof(struct settings, member), \
	.size = sizeof(((struct settings *)NULL)->member)

/* clang-format off */
static const struct settings_key table[] = {
	{ "driver.repository", SETTINGS_URL, MEMBER(driver.repository), "", "https http",
	  .metadata = true, .picks = true },
	{ "driver.url", SETTINGS_URL, MEMBER(driver.url), "", "https http file",
	  .metadata = true, .picks = true },
	{ "driver.sha256", SETTINGS_SHA256, MEMBER(driver.sha256), "",
	  .metadata = true, .picks = true },
	{ "driver.version", SETTINGS_VERSION, MEMBER(driver.version), "",
	  .metadata = true, .picks = true },
	{ "driver.catalog", SETTINGS_CATALOG, MEMBER(driver.catalog), "auto", "https http" },
	{ "driver.package", SETTINGS_CHOICE, MEMBER(driver.package), "auto",
	  "auto run deb rpm" },
	{ "driver.kernel_module", SETTINGS_CHOICE, MEMBER(driver.kernel_module), "auto",
	  "auto open proprietary", .metadata = true },
	{ "driver.integrity", SETTINGS_CHOICE, MEMBER(driver.integrity), "require",
	  "require warn" },
	{ "driver.index_key", SETTINGS_FILE_PATH, MEMBER(driver.index_key), "" },
	{ "driver.prebuilt", SETTINGS_CHOICE, MEMBER(driver.prebuilt), "auto",
	  "auto never only", .metadata = true },
	{ "driver.upgrade", SETTINGS_BOOL, MEMBER(driver.upgrade), "false",
	  .metadata = true },
	{ "driver.prerequisites", SETTINGS_CHOICE, MEMBER(driver.prerequisites), "install",
	  "install never" },
	{ "driver.dkms", SETTINGS_CHOICE, MEMBER(driver.dkms), "no", "no yes" },
	{ "driver.fallback", SETTINGS_BOOL, MEMBER(driver.fallback), "true",
	  .metadata = true },
	{ "driver.index_min_serial", SETTINGS_INT, MEMBER(driver.index_min_serial), "0",
	  .max = INT32_MAX },
	{ "driver.allow_mismatch", SETTINGS_BOOL, MEMBER(driver.allow_mismatch), "false" },

	{ "http.proxy", SETTINGS_PROXY, MEMBER(http.proxy), "",
	  "http https socks4 socks4a socks5 socks5h" },
	{ "http.ca_file", SETTINGS_FILE_PATH, MEMBER(http.ca_file), "" },
	{ "http.client_cert", SETTINGS_FILE_PATH, MEMBER(http.client_cert), "" },
	{ "http.client_key", SETTINGS_FILE_PATH, MEMBER(http.client_key), "" },
	{ "http.netrc_file", SETTINGS_FILE_PATH, MEMBER(http.netrc_file), "" },
	{ "http.header_file", SETTINGS_FILE_PATH, MEMBER(http.header_file), "" },
	{ "http.rate_limit_kib", SETTINGS_INT, MEMBER(http.rate_limit_kib), "0",
	  .max = 100000000 },
	{ "http.retries", SETTINGS_INT, MEMBER(http.retries), "8", .max = 100 },
	{ "http.connect_timeout", SETTINGS_INT, MEMBER(http.connect_timeout), "20",
	  .min = 1, .max = 3600 },
	{ "http.stall_timeout", SETTINGS_INT, MEMBER(http.stall_timeout), "180",
	  .min = 1, .max = 3600 },

	{ "license.feature_type", SETTINGS_INT, MEMBER(license.feature_type), "1",
	  .max = 4, .metadata = true },
	{ "license.token_file", SETTINGS_FILE_PATH, MEMBER(license.token_file), "" },
	{ "license.token_mode", SETTINGS_MODE, MEMBER(license.token_mode), "0744" },
	{ "license.wait", SETTINGS_INT, MEMBER(license.wait), "300", .max = 86400 },

	{ "monitor.interval", SETTINGS_INT, MEMBER(monitor.interval), "60", .min = 1,
	  .max = 86400 },
	{ "monitor.backend", SETTINGS_CHOICE, MEMBER(monitor.backend), "auto",
	  "auto nvml nvidia-smi" },
	{ "monitor.metrics_file", SETTINGS_FILE_PATH, MEMBER(monitor.metrics_file), "" },

	{ "metadata.enabled", SETTINGS_BOOL, MEMBER(metadata.enabled), "true" },
	{ "metadata.url", SETTINGS_URL, MEMBER(metadata.url), "http://169.254.169.254",
	  "http https" },
	{ "metadata.sources", SETTINGS_SOURCES, 0, 0, "config-drive,metadata-service" },
	{ "metadata.keys", SETTINGS_KEYS, MEMBER(metadata.keys), "*" },
	{ "metadata.removable_drive", SETTINGS_BOOL, MEMBER(metadata.removable_drive),
	  "false" },
	{ "metadata.timeout", SETTINGS_INT, MEMBER(metadata.timeout), "30", .min = 1,
	  .max = 3600 },

	{ "signing.key", SETTINGS_FILE_PATH, MEMBER(signing.key), "" },
	{ "signing.cert", SETTINGS_FILE_PATH, MEMBER(signing.cert), "" },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(table) <= SETTINGS_KEYS_MAX, "every key has an origin");

size_t settings_table_count(void)
{
	return ARRAY_SIZE(table);
}

const struct settings_key *settings_table_at(size_t index)
{
	return &table[index];
}

const struct settings_key *settings_table_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].path, path) == 0)
			return &table[i];
	}

	return NULL;
}

const struct settings_origin *settings_table_origin(const struct settings *settings,
						    const char *path)
{
	const struct settings_key *key = settings_table_find(path);

	return key ? &settings->origins[key - table] : NULL;
}

bool settings_table_is_section(const char *path)
{
	size_t len = strlen(path);

	if (strcmp(path, SETTINGS_TABLE_GRIDD) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strncmp(table[i].path, path, len) == 0 && table[i].path[len] == '.')
			return true;
	}

	return false;
}

static const char *last_component(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

/*
 * A right name in the wrong section is as near as a slip of the pen in the right one, and
 * one that was only begun is no slip at all.
 */
static unsigned key_distance(const char *path, const char *known)
{
	const char *name = last_component(path), *other = last_component(known);
	unsigned whole = text_starts(known, path) ? 0 : text_distance(path, known);
	unsigned last = 1 + (text_starts(other, name) ? 0 : text_distance(name, other));

	return whole < last ? whole : last;
}

const char *settings_table_nearest(const char *path)
{
	static const char *const sections[] = { "driver",  "http",     "license",
						"monitor", "metadata", "signing" };
	const char *nearest = NULL;
	/* Farther than a third of it is another word. */
	unsigned best = 2 + (unsigned)strlen(last_component(path)) / 3;

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		unsigned distance = text_distance(path, sections[i]);

		if (distance > 0 && distance < best) {
			best = distance;
			nearest = sections[i];
		}
	}
	if (key_distance(path, SETTINGS_TABLE_GRIDD) < best) {
		best = key_distance(path, SETTINGS_TABLE_GRIDD);
		nearest = SETTINGS_TABLE_GRIDD;
	}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		unsigned distance = key_distance(path, table[i].path);

		if (distance < best) {
			best = distance;
			nearest = table[i].path;
		}
	}

	return nearest;
}

void settings_table_init(struct settings *ret_settings)
{
	const struct settings_origin origin = { SETTINGS_BUILTIN, "built-in" };

	memset(ret_settings, 0, sizeof(*ret_settings));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char buffer[SETTINGS_VALUE_BUFFER];
		struct error err = ERROR_INIT;
		struct settings_value value;
		bool good = settings_value_read(&table[i], table[i].initial, buffer,
						&value) &&
			    settings_value_put(ret_settings, &table[i], &value, &err) ==
				    0;

		assert(good);
		(void)good;
		ret_settings->origins[i] = origin;
	}
}

/* A layer that picks a file begins with nothing picked. */
static void clear_picks(struct settings *settings, enum settings_layer layer)
{
	if (settings->driver.repository[0])
		(void)text_copy(
			settings->hidden_repository, sizeof(settings->hidden_repository),
			settings_table_origin(settings, "driver.repository")->where);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!table[i].picks)
			continue;
		*((char *)settings + table[i].offset) = '\0';
		settings->origins[i] =
			(struct settings_origin){ SETTINGS_BUILTIN, "built-in" };
	}
	settings->driver_layer = layer;
}

int settings_table_put(struct settings *settings, const struct settings_key *key,
		       const struct settings_value *value,
		       const struct settings_origin *origin, struct error *err)
{
	struct settings_origin *held = &settings->origins[key - table];
	enum settings_layer layer = key->picks ? settings->driver_layer : held->layer;
	cleanup_free struct settings *checked = malloc(sizeof(*checked));

	if (!checked)
		return error_set_errno(err, ENOMEM, "reading the configuration");

	*checked = *settings;
	if (settings_value_put(checked, key, value, err) < 0)
		return -1;
	if (origin->layer < layer)
		return 0;

	if (key->picks && origin->layer > layer)
		clear_picks(settings, origin->layer);
	*held = *origin;
	return settings_value_put(settings, key, value, err);
}

/* The value as gridd.conf has it: its booleans are TRUE and FALSE. */
static bool gridd_text(const struct settings_value *value, char *ret_text, size_t size)
{
	switch (value->kind) {
	case SETTINGS_VALUE_TEXT:
		for (const char *c = value->text; *c; c++) {
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				return false;
		}
		return text_copy(ret_text, size, value->text);
	case SETTINGS_VALUE_BOOL:
		return text_copy(ret_text, size, value->flag ? "TRUE" : "FALSE");
	case SETTINGS_VALUE_INT:
		return text_format(ret_text, size, "%lld", (long long)value->number);
	case SETTINGS_VALUE_LIST:
	case SETTINGS_VALUE_OTHER:
	default:
		return false;
	}
}

int settings_table_put_gridd(struct settings *settings, const char *name,
			     const struct settings_value *value,
			     const struct settings_origin *origin, struct error *err)
{
	struct settings_license *license = &settings->license;
	struct settings_gridd gridd = { .origin = *origin };
	size_t i = 0;

	if (strcasecmp(name, "FeatureType") == 0)
		return error_set(err, ERROR_USAGE,
				 "license.gridd.%s: it is license.feature_type that "
				 "sets it",
				 name);
	if (strcasecmp(name, "ClientConfigTokenPath") == 0)
		return error_set(err, ERROR_USAGE,
				 "license.gridd.%s: the token's folder is fixed", name);
	if (!gridd_conf_key_valid(name) || !text_copy(gridd.key, sizeof(gridd.key), name))
		return error_set(err, ERROR_USAGE,
				 "license.gridd.%.60s is no name of a gridd.conf option",
				 name);
	if (!gridd_text(value, gridd.value, sizeof(gridd.value)))
		return error_set(err, ERROR_USAGE,
				 "license.gridd.%s must be one line of text, a whole "
				 "number, true or false",
				 name);

	while (i < license->gridd_count && strcmp(license->gridd[i].key, name) != 0)
		i++;
	if (i == SETTINGS_GRIDD_MAX)
		return error_set(err, ERROR_USAGE,
				 "license.gridd has more than %d options",
				 SETTINGS_GRIDD_MAX);
	if (i < license->gridd_count && license->gridd[i].origin.layer > origin->layer)
		return 0;

	license->gridd[i] = gridd;
	if (i == license->gridd_count)
		license->gridd_count++;
	return 0;
}
