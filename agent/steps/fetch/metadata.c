/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "model/settings/settings_keys.h"
#include "steps/fetch/metadata_drive.h"
#include "steps/fetch/metadata_memory.h"

#define DEFAULT_URL "http://169.254.169.254"
#define SILENCE_MARGIN_S 30 /* of a worker that waits for the service */

void metadata_done(struct metadata *metadata)
{
	json_free(metadata->object);
	json_free(metadata->warnings);
	json_free(metadata->token_check);
	if (metadata->token)
		explicit_bzero(metadata->token, metadata->token_size);
	free(metadata->token);
	metadata_memory_done(&metadata->said);
	*metadata = METADATA_INIT;
}

/* [{"name":"vendor_data2.json","input":4},...]; NULL: no memory. */
static struct json *list_files(const struct metadata_drive *drive)
{
	cleanup_json struct json *files = json_build("[]");

	for (size_t i = 0; files && i < drive->count; i++) {
		if (json_append(files, json_build("{s:s, s:i}", "name", drive->names[i],
						  "input", CHANNEL_FIRST_FILE + (int)i)) <
		    0)
			return NULL;
	}

	return take_ptr(files);
}

/* Whether the machine says by its firmware that it is one of OpenStack's. */
static bool is_openstack(const struct root *root)
{
	static const char *const words[][2] = {
		{ "/sys/class/dmi/id/product_name", "OpenStack" },
		{ "/sys/class/dmi/id/sys_vendor", "OpenStack" },
		{ "/sys/class/dmi/id/chassis_asset_tag", "OpenTelekomCloud" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_fd int fd = root_open_at(root, words[i][0], O_RDONLY | O_NONBLOCK,
						 0, &ignored);
		char text[128] = "";

		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
		    strstr(text, words[i][1]))
			return true;
	}
	return false;
}

struct asking {
	const struct settings_metadata *settings;
	const struct metadata_drive *drive;
	bool known;   /* the service has answered before */
	bool patient; /* one is sure to come */
};

static int ask_the_service(const struct asking *asking, const struct channel *channel,
			   struct json **ret_answer, struct error *err)
{
	const struct settings_metadata *settings = asking->settings;
	const struct metadata_drive *drive = asking->drive;
	struct channel patient = *channel;
	unsigned needed = (unsigned)settings->timeout + SILENCE_MARGIN_S;
	cleanup_json struct json *request =
		json_build("{s:s, s:s*, s:i, s:o, s:b, s:b, s:b}", "job", "metadata",
			   "service", settings->metadata_service ? settings->url : NULL,
			   "timeout", settings->timeout, "drive", list_files(drive),
			   "known", (int)asking->known, "patient", (int)asking->patient,
			   "link_local", strcmp(settings->url, DEFAULT_URL) == 0);

	if (!request)
		return error_set_errno(err, ENOMEM, "asking the worker");

	if (patient.silence_s < needed)
		patient.silence_s = needed;
	return channel_call(&patient, request, drive->fds, drive->count, ret_answer, err);
}

static int add_warning(struct metadata *metadata, const char *text, struct error *err)
{
	cleanup_free char *line = strdup(text);

	if (line)
		text_sanitize(line);
	if (!line || json_append(metadata->warnings, json_words(line)) < 0)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	return 0;
}

/* "config drive, vendor_data2.json; metadata service: absent" */
static void describe(const struct json *answer, struct metadata *metadata)
{
	const struct json *sources = json_get(answer, "sources");
	const char *service = json_get_string(answer, "service");
	size_t size = sizeof(metadata->detail), used = 0;

	for (size_t i = 0; i < json_count(sources) && used < size; i++) {
		(void)text_format(metadata->detail + used, size - used, "%s%s",
				  used ? ", " : "", json_as_string(json_at(sources, i)));
		used = strlen(metadata->detail);
	}
	if (used == 0)
		(void)text_format(metadata->detail, size,
				  "nothing found; metadata service: %s",
				  service ? service : "not asked");
	text_sanitize(metadata->detail);
}

/* Copies the token, and the worker's judgement of it where the worker gave one. */
static int take_token(const struct json *answer, struct metadata *metadata,
		      struct error *err)
{
	const char *token = json_get_string(answer, "token");
	const char *source = json_get_string(answer, "token_source");
	const struct json *check = json_get(answer, "token_check");

	if (!token)
		return 0;

	metadata->token = strdup(token);
	if (!metadata->token)
		return error_set_errno(err, ENOMEM, "reading the metadata");
	metadata->token_size = strlen(token);
	(void)text_copy(metadata->token_source, sizeof(metadata->token_source),
			source ? source : "metadata");
	text_sanitize(metadata->token_source);
	if (json_kind(json_get(check, "problems")) != JSON_KIND_ARRAY)
		return 0;
	metadata->token_check = json_build("O", check);
	return metadata->token_check
		       ? 0
		       : error_set_errno(err, ENOMEM, "reading the metadata");
}

/* Whether the cloud may give a token is root's to say, as of any other key. */
static int drop_token(const struct settings_metadata *settings, struct metadata *metadata,
		      struct error *err)
{
	if (!metadata->token ||
	    settings_keys_allow(settings->keys, SETTINGS_KEYS_TOKEN) ||
	    settings_keys_allow(settings->keys, SETTINGS_KEYS_TOKEN "_base64"))
		return 0;
	explicit_bzero(metadata->token, metadata->token_size);
	free(take_ptr(metadata->token));
	metadata->token_size = 0;
	return add_warning(metadata,
			   SETTINGS_KEYS_TOKEN
			   " is not among metadata.keys of root's: passed over",
			   err);
}

static int take_answer(const struct json *answer, struct metadata *metadata,
		       struct error *err)
{
	const struct json *object = json_get(answer, "object");
	const struct json *warnings = json_get(answer, "warnings");

	describe(answer, metadata);
	for (size_t i = 0; i < json_count(warnings); i++) {
		if (add_warning(metadata, json_as_string(json_at(warnings, i)), err) < 0)
			return -1;
	}
	if (json_get_bool(answer, "found", false) &&
	    json_kind(object) == JSON_KIND_OBJECT) {
		metadata->object = json_build("O", object);
		if (!metadata->object)
			return error_set_errno(err, ENOMEM, "reading the metadata");
	}

	return take_token(answer, metadata, err);
}

/* What an answering service says is new; a silent one has said it before. */
static int take_service(const struct json *answer, struct metadata_memory *memory,
			struct metadata *metadata, struct error *err)
{
	const struct json *said = json_get(answer, "service_object");

	metadata->silent = json_get_bool(answer, "silent", false);
	if (!metadata->silent) {
		metadata->asked = true;
		metadata->said.known = true;
		if (json_kind(said) == JSON_KIND_OBJECT)
			metadata->said.object = json_build("O", said);
		(void)text_copy(metadata->said.token, sizeof(metadata->said.token),
				json_get_words(answer, "service_token_sha256"));
		return 0;
	}
	if (!memory->known)
		return 0;

	/* Half of what it says is not what it said. */
	json_free(metadata->object);
	metadata->object = memory->object;
	memory->object = NULL;
	if (metadata->token)
		explicit_bzero(metadata->token, metadata->token_size);
	free(metadata->token);
	metadata->token = NULL;
	metadata->keeps_token = memory->token[0] != '\0';
	(void)text_copy(metadata->detail, sizeof(metadata->detail),
			"the metadata service is silent: what it said last stays");
	return add_warning(metadata,
			   "the metadata service is silent: what it said last stays in "
			   "force",
			   err);
}

/* Both sources into `metadata`, which the caller cleans up on -1. */
static int read_sources(const struct settings_metadata *settings, const struct root *root,
			const struct channel *channel, struct metadata *metadata,
			struct error *err)
{
	cleanup(metadata_drive_done) struct metadata_drive drive = METADATA_DRIVE_INIT;
	cleanup(metadata_memory_done) struct metadata_memory memory =
		METADATA_MEMORY_INIT;
	cleanup_json struct json *answer = NULL;
	struct asking asking = { .settings = settings, .drive = &drive };

	metadata->warnings = json_build("[]");
	if (!metadata->warnings)
		return error_set_errno(err, ENOMEM, "reading the metadata");

	if (settings->config_drive &&
	    metadata_drive_open(root, settings->removable_drive, metadata->warnings,
				&drive, err) < 0)
		return -1;
	if (drive.count == 0 && !settings->metadata_service) {
		(void)text_copy(metadata->detail, sizeof(metadata->detail),
				"no config drive");
		return 0;
	}

	if (settings->metadata_service)
		metadata_memory_read(root, &memory);
	asking.known = memory.known;
	asking.patient = memory.known || (drive.count == 0 && is_openstack(root));
	if (ask_the_service(&asking, channel, &answer, err) < 0)
		return error_prefix(err, "reading the metadata");
	if (take_answer(answer, metadata, err) < 0)
		return -1;
	if (settings->metadata_service &&
	    take_service(answer, &memory, metadata, err) < 0)
		return -1;
	return drop_token(settings, metadata, err);
}

int metadata_read(const struct settings_metadata *settings, const struct root *root,
		  const struct channel *channel, struct metadata *ret_metadata,
		  struct error *err)
{
	struct metadata metadata = METADATA_INIT;

	if (read_sources(settings, root, channel, &metadata, err) < 0) {
		metadata_done(&metadata);
		return -1;
	}

	*ret_metadata = metadata;
	return 0;
}

int metadata_remember(const struct root *root, const struct metadata *metadata,
		      struct error *err)
{
	return metadata->asked ? metadata_memory_write(root, &metadata->said, err) : 0;
}
