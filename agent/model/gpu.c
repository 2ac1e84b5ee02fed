/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gpu.h"

#include <stdarg.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"
#include "model/driver/version.h"

/* PCI Local Bus Specification 3.0, section 6; offsets into the configuration space. */
#define STATUS 0x06
#define STATUS_CAPABILITIES 0x10
#define CAPABILITIES_POINTER 0x34
#define CAPABILITIES_FIRST 0x40 /* below stands the header */
#define CAPABILITY_VENDOR_SPECIFIC 0x09
#define CAPABILITY_BROKEN 0xff

/* NVIDIA's vendor-specific capability: id, next, length, 'V', 'F', records. */
#define VF_HEADER 5
#define RECORD_HEADER 2 /* id, length with these two bytes */
#define RECORD_HOST_DRIVER 0
#define HOST_FIELD 10 /* version and branch: padded with NUL, unterminated when full */
#define HOST_RECORD_SIZE (RECORD_HEADER + 2 * HOST_FIELD)

bool gpu_is_class(uint32_t class)
{
	uint32_t base = class >> 8;

	return base == 0x0300 || base == 0x0302;
}

static void settle_record(struct gpu *gpu, enum gpu_record record, const char *fmt, ...)
	printf_like(3, 4);

static void settle_record(struct gpu *gpu, enum gpu_record record, const char *fmt, ...)
{
	va_list args;

	gpu->record = record;
	va_start(args, fmt);
	(void)vsnprintf(gpu->note, sizeof(gpu->note), fmt, args);
	va_end(args);
}

/* A field of HOST_FIELD bytes up to its first NUL. */
static struct span field_text(const uint8_t *field)
{
	const char *text = (const char *)field;

	return (struct span){ text, strnlen(text, HOST_FIELD) };
}

static bool is_graphic(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] <= ' ' || text.at[i] > '~')
			return false;
	}

	return true;
}

/*
 * The host driver's version and branch, as NVIDIA's manager on the host wrote them into
 * the vGPU's configuration space: two texts of fixed length behind the record's header.
 */
static void read_host_record(struct gpu *gpu, const uint8_t *record, size_t size)
{
	struct span version, branch;
	char raw[2 * HOST_RECORD_SIZE + 1];

	text_hex(record, size < HOST_RECORD_SIZE ? size : HOST_RECORD_SIZE, raw);
	if (size != HOST_RECORD_SIZE) {
		settle_record(gpu, GPU_RECORD_MALFORMED,
			      "host driver record of %zu bytes instead of %d: %s", size,
			      HOST_RECORD_SIZE, raw);
		return;
	}

	version = field_text(record + RECORD_HEADER);
	branch = field_text(record + RECORD_HEADER + HOST_FIELD);
	if (!version_valid(version)) {
		settle_record(gpu, GPU_RECORD_MALFORMED,
			      "host driver record holds no version: %s", raw);
		return;
	}

	gpu->record = GPU_RECORD_READ;
	(void)span_copy(version, gpu->host.version, sizeof(gpu->host.version));
	if (is_graphic(branch))
		(void)span_copy(branch, gpu->host.branch, sizeof(gpu->host.branch));
}

/* `capability` holds `size` bytes, all of them inside the configuration space. */
static void read_vf_capability(struct gpu *gpu, const uint8_t *capability, size_t size)
{
	size_t at = VF_HEADER;

	while (at < size) {
		const uint8_t *record = capability + at;
		size_t left = size - at;

		if (left < RECORD_HEADER || record[1] < RECORD_HEADER ||
		    record[1] > left) {
			settle_record(
				gpu, GPU_RECORD_MALFORMED,
				"malformed record at byte %zu of the vGPU capability",
				at);
			return;
		}
		if (record[0] == RECORD_HOST_DRIVER) {
			read_host_record(gpu, record, record[1]);
			return;
		}
		at += record[1];
	}

	settle_record(gpu, GPU_RECORD_ABSENT,
		      "the vGPU capability has no host driver record");
}

/*
 * The capability at `at` carries 'VF'. Its length counts from its first byte; what lies
 * beyond belongs to another capability.
 */
static bool is_vf(const uint8_t *config, size_t at)
{
	const uint8_t *capability = config + at;

	return capability[0] == CAPABILITY_VENDOR_SPECIFIC &&
	       at + VF_HEADER <= GPU_CONFIG_SIZE && capability[2] >= VF_HEADER &&
	       capability[3] == 'V' && capability[4] == 'F';
}

/*
 * Walks the list of PCI capabilities from its first. Each offset is visited once, so
 * that a list that leads back into itself ends.
 */
static void walk_capabilities(struct gpu *gpu, const uint8_t *config)
{
	bool visited[GPU_CONFIG_SIZE] = { false };
	size_t at = config[CAPABILITIES_POINTER];

	while (at != 0) {
		if (at < CAPABILITIES_FIRST || at % 4 != 0 || visited[at] ||
		    config[at] == CAPABILITY_BROKEN) {
			settle_record(gpu, GPU_RECORD_MALFORMED,
				      "the list of PCI capabilities is broken at 0x%02zx",
				      at);
			return;
		}
		visited[at] = true;

		if (is_vf(config, at)) {
			gpu->kind = GPU_VGPU;
			if (at + config[at + 2] > GPU_CONFIG_SIZE)
				settle_record(gpu, GPU_RECORD_MALFORMED,
					      "the vGPU capability at 0x%02zx is cut off",
					      at);
			else
				read_vf_capability(gpu, config + at, config[at + 2]);
			return;
		}
		at = config[at + 1];
	}

	gpu->kind = GPU_PASSTHROUGH;
	settle_record(gpu, GPU_RECORD_ABSENT,
		      "no vGPU capability: passed through, or a host older than vGPU 12");
}

void gpu_read_config(struct gpu *gpu, const uint8_t *config, size_t size)
{
	gpu->kind = GPU_UNKNOWN;
	gpu->host = (struct host_driver){ .version = "" };
	gpu->note[0] = '\0';

	if (size < GPU_CONFIG_SIZE) {
		settle_record(
			gpu, GPU_RECORD_UNREAD,
			"only %zu of %d bytes of configuration space could be read: "
			"needs root",
			size, GPU_CONFIG_SIZE);
	} else if (config[0] == 0xff && config[1] == 0xff) {
		settle_record(gpu, GPU_RECORD_MALFORMED,
			      "the GPU does not answer on PCI");
	} else if (!(config[STATUS] & STATUS_CAPABILITIES)) {
		gpu->kind = GPU_PASSTHROUGH;
		settle_record(gpu, GPU_RECORD_ABSENT, "no PCI capabilities: not a vGPU");
	} else {
		walk_capabilities(gpu, config);
	}
}

int gpu_host(const struct gpu_list *list, struct host_driver *ret_host, struct error *err)
{
	const struct gpu *teller = NULL;
	bool unread = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct gpu *gpu = &list->gpus[i];

		if (gpu->record == GPU_RECORD_UNREAD)
			unread = true;
		if (gpu->record != GPU_RECORD_READ)
			continue;

		if (teller && strcmp(teller->host.version, gpu->host.version) != 0) {
			(void)error_set(err, ERROR_NO_MATCH,
					"vGPUs disagree on the host's driver: %s says "
					"%s, %s says %s",
					teller->address, teller->host.version,
					gpu->address, gpu->host.version);
			return error_hint(err, "one guest driver serves all vGPUs of a "
					       "guest: take them from one host");
		}
		if (!teller)
			teller = gpu;
	}

	if (!teller && unread) {
		(void)error_set(err, ERROR_PERMISSION,
				"the GPU's configuration space could not be read whole");
		return error_hint(err, "run it as root");
	}

	*ret_host = teller ? teller->host : (struct host_driver){ .version = "" };
	return 0;
}

bool gpu_has_vgpu(const struct gpu_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->gpus[i].kind == GPU_VGPU)
			return true;
	}

	return false;
}

const char *gpu_kind_name(enum gpu_kind kind)
{
	static const char *const names[] = {
		[GPU_UNKNOWN] = "unknown",
		[GPU_VGPU] = "vgpu",
		[GPU_PASSTHROUGH] = "passthrough",
	};

	return (size_t)kind < ARRAY_SIZE(names) ? names[kind] : "unknown";
}

struct json *gpu_host_json(const struct host_driver *host)
{
	if (!host || host->version[0] == '\0')
		return json_build("n");

	return json_build("{s:s, s:s?}", "version", host->version, "branch",
			  host->branch[0] ? host->branch : NULL);
}

static struct json *gpu_json(const struct gpu *gpu)
{
	char device[8], subsystem[8], class[12];
	struct json *json;

	(void)snprintf(device, sizeof(device), "0x%04x", (unsigned)gpu->device);
	(void)snprintf(subsystem, sizeof(subsystem), "0x%04x",
		       (unsigned)gpu->subsystem_device);
	(void)snprintf(class, sizeof(class), "0x%06x", (unsigned)gpu->class);

	json = json_build("{s:s, s:s, s:s, s:s, s:s, s:o}", "address", gpu->address,
			  "device_id", device, "subsystem_device_id", subsystem, "class",
			  class, "kind", gpu_kind_name(gpu->kind), "host_driver",
			  gpu_host_json(&gpu->host));
	if (json && gpu->host.version[0] == '\0' &&
	    json_set(json, "note", json_build("s", gpu->note)) < 0) {
		json_free(json);
		return NULL;
	}

	return json;
}

struct json *gpu_list_json(const struct gpu_list *list)
{
	cleanup_json struct json *array = json_build("[]");

	for (size_t i = 0; array && i < list->count; i++) {
		if (json_append(array, gpu_json(&list->gpus[i])) < 0)
			return NULL;
	}

	return take_ptr(array);
}
