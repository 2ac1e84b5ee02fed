/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The configuration: one table of keys, their types, ranges and defaults; layers put over
 * each other (contract, section 4). The only room that includes libconfig.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/package.h"

#define SETTINGS_GRIDD_MAX 16
#define SETTINGS_URL_MAX 2048
#define SETTINGS_PATH_MAX 512
#define SETTINGS_KEYS_MAX 64
#define SETTINGS_KEY_LIST_MAX 1024

enum settings_layer {
	SETTINGS_BUILTIN,
	SETTINGS_FILE, /* agent.conf */
	SETTINGS_CONF_D,
	SETTINGS_METADATA,
	SETTINGS_COMMAND, /* --set and command options */
};

struct settings_driver {
	char repository[SETTINGS_URL_MAX];
	char url[SETTINGS_URL_MAX];
	char sha256[PACKAGE_SHA256_SIZE];
	char version[32];
	char catalog[SETTINGS_URL_MAX];
	char package[8];
	char kernel_module[16];
	char integrity[16];
	char index_key[SETTINGS_PATH_MAX];
	char prebuilt[8];
	bool upgrade;
	char prerequisites[16];
	char dkms[8];
	bool fallback;
	int index_min_serial;
	bool allow_mismatch;
};

struct settings_http {
	char proxy[SETTINGS_URL_MAX];
	char ca_file[SETTINGS_PATH_MAX];
	char client_cert[SETTINGS_PATH_MAX];
	char client_key[SETTINGS_PATH_MAX];
	char netrc_file[SETTINGS_PATH_MAX];
	char header_file[SETTINGS_PATH_MAX];
	int rate_limit_kib;
	int retries;
	int connect_timeout;
	int stall_timeout;
};

/* Who set a key. */
struct settings_origin {
	enum settings_layer layer;
	char where[96]; /* "/etc/vgpu-guest-agent/agent.conf:12", "--set", "metadata" */
};

struct settings_gridd {
	char key[48];
	char value[256]; /* as it goes into the file */
	struct settings_origin origin;
};

struct settings_license {
	int feature_type;
	char token_file[SETTINGS_PATH_MAX];
	int token_mode; /* the octal text as a number */
	int wait;
	size_t gridd_count;
	struct settings_gridd gridd[SETTINGS_GRIDD_MAX];
};

struct settings_monitor {
	int interval;
	char backend[16];
	char metrics_file[SETTINGS_PATH_MAX];
};

struct settings_metadata {
	bool enabled;
	char url[SETTINGS_URL_MAX];
	bool config_drive;     /* in metadata.sources */
	bool metadata_service; /* in metadata.sources */
	bool removable_drive;
	char keys[SETTINGS_KEY_LIST_MAX]; /* patterns, with commas between */
	int timeout;
};

struct settings_signing {
	char key[SETTINGS_PATH_MAX];
	char cert[SETTINGS_PATH_MAX];
};

struct settings {
	struct settings_driver driver;
	struct settings_http http;
	struct settings_license license;
	struct settings_monitor monitor;
	struct settings_metadata metadata;
	struct settings_signing signing;
	struct settings_origin origins[SETTINGS_KEYS_MAX]; /* by place in the table */
	enum settings_layer
		driver_layer;       /* of url, sha256, version, repository together */
	char hidden_repository[96]; /* who set the one that a higher layer hides; "" */
};

void settings_init(struct settings *ret_settings);

/*
 * Puts the text of a configuration file over the settings. ERROR_USAGE with
 * "FILE:LINE: ..." and the nearest known key. `@include` is refused (libconfig would
 * follow it).
 */
must_check int settings_read(struct settings *settings, const char *text, size_t size,
			     const char *file, enum settings_layer layer,
			     struct error *err);

/* One --set PATH=VALUE; VALUE is read as the key's type, a list by its commas. */
must_check int settings_set(struct settings *settings, const char *assignment,
			    struct error *err);

/*
 * The object `vgpu_guest_agent` of the metadata, tokens taken out: only keys marked M;
 * any other key adds a line to `warnings` (a JSON array of strings). A wrong value of
 * such a key is ERROR_USAGE: a pin that is mistyped must not be a pin that is not there.
 * A file:// URL is ERROR_INTEGRITY: it would name what a user of the guest has put there.
 * What metadata.keys does not let the cloud set adds a line, too.
 */
must_check int settings_read_metadata(struct settings *settings,
				      const struct json *object, struct json *warnings,
				      struct error *err);

/* What can only be checked at the end: a certificate without its key, a pin of nothing.
 */
must_check int settings_check(const struct settings *settings, struct error *err);

/*
 * {"driver.url":{"value":...,"origin":"...","metadata":b}}: URL credentials are named,
 * not shown; metadata: the cloud may set the key.
 */
struct json *settings_json(const struct settings *settings);

/*
 * Whether the key's value came from the command line: the file that it names is then the
 * caller's, outside of the root.
 */
bool settings_is_callers(const struct settings *settings, const char *path);

/* Who set the key, for people to read: "/etc/vgpu-guest-agent/agent.conf:3", "--set". */
const char *settings_where(const struct settings *settings, const char *path);

/* Whether anybody set this key: a file, the metadata, the command line. */
bool settings_is_set(const struct settings *settings, const char *path);
