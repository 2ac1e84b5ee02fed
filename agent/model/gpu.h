/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The NVIDIA GPUs on the PCI bus, and what a vGPU's configuration space says of its
 * host. Layout of the record: NVIDIA's vgpu-util and captured configuration spaces.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

#define GPU_VENDOR_NVIDIA 0x10de
#define GPU_CONFIG_SIZE 256 /* the standard configuration space */
#define GPU_MAX 64

enum gpu_kind {
	GPU_UNKNOWN, /* the configuration space or its list of capabilities is cut */
	GPU_VGPU,    /* a vendor-specific capability carries 'VF' */
	GPU_PASSTHROUGH,
};

/* What became of the host's version record. */
enum gpu_record {
	GPU_RECORD_UNREAD, /* the configuration space was not readable whole: no root */
	GPU_RECORD_ABSENT, /* read whole, and there is none */
	GPU_RECORD_MALFORMED,
	GPU_RECORD_READ,
};

struct host_driver {
	char version[11]; /* "" when not known */
	char branch[11];  /* opaque, "r528_79" */
};

struct gpu {
	char address[16]; /* "0000:06:00.0" */
	uint16_t device;
	uint16_t subsystem_device;
	uint32_t class;
	enum gpu_kind kind;
	enum gpu_record record;
	struct host_driver host; /* version "" when `note` says why */
	char driver[32];         /* the kernel driver bound to it, "" for none */
	char note[128];          /* why the host's version is not known, or "" */
};

struct gpu_list {
	size_t count;
	struct gpu gpus[GPU_MAX];
};

/* Class 0x0300xx or 0x0302xx. */
bool gpu_is_class(uint32_t class);

/*
 * Fills kind, record, host and note from `size` bytes of configuration space. Every
 * offset and length in it is hostile: walks each capability once and no byte past `size`.
 */
void gpu_read_config(struct gpu *gpu, const uint8_t *config, size_t size);

/*
 * The one host version of all vGPUs. ERROR_NO_MATCH naming them when two disagree;
 * version "" when no vGPU tells one. ERROR_PERMISSION when some GPU could not be read
 * whole and no other tells.
 */
must_check int gpu_host(const struct gpu_list *list, struct host_driver *ret_host,
			struct error *err);

bool gpu_has_vgpu(const struct gpu_list *list);

const char *gpu_kind_name(enum gpu_kind kind);

/* The contract's "gpus" array; {"version","branch"} or null. NULL: no memory. */
struct json *gpu_list_json(const struct gpu_list *list);
struct json *gpu_host_json(const struct host_driver *host);
