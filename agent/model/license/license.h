/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The license status of every GPU, as the driver words it and as the contract names it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/span.h"
#include "model/driver/version.h"
#include "model/gpu.h"

#define LICENSE_GPUS_MAX 64
#define LICENSE_FEATURES_MAX 4

enum license_state {
	LICENSE_UNKNOWN,
	LICENSE_LICENSED,
	LICENSE_UNLICENSED,
	LICENSE_UNLICENSED_UNRESTRICTED,
	LICENSE_UNLICENSED_RESTRICTED,
	LICENSE_NOT_APPLICABLE,
};

enum license_expiry {
	LICENSE_EXPIRY_NONE, /* null: the status mentions none */
	LICENSE_EXPIRY_DATE,
	LICENSE_EXPIRY_PERMANENT,
	LICENSE_EXPIRY_NOT_APPLICABLE,
	LICENSE_EXPIRY_UNAVAILABLE,
	LICENSE_EXPIRY_ERROR,
};

struct license_feature {
	char product[96];
	char status[96]; /* the driver's own wording */
	enum license_state state;
	enum license_expiry expiry_kind;
	int64_t expiry; /* seconds since 1970, UTC; only with LICENSE_EXPIRY_DATE */
};

struct license_gpu {
	char id[32]; /* "00000000:02:00.0" */
	char uuid[64];
	char name[96];
	char virtualization[32]; /* "VGPU", "Pass-Through", "None" */
	size_t feature_count;
	struct license_feature features[LICENSE_FEATURES_MAX];
};

struct license_report {
	char driver_version[VERSION_MAX];
	size_t count;
	struct license_gpu gpus[LICENSE_GPUS_MAX];
};

/* "Licensed (Expiry: 2026-1-2 3:4:5 GMT)": fills status, state and expiry. */
void license_read_status(struct span value, struct license_feature *feature);

/* A vGPU; or passed through, and `feature_type` is 2 or 4. An unknown mode counts as a
 * vGPU. */
bool license_needed(const struct license_gpu *gpu, int feature_type);

/*
 * Some feature is licensed. Of a passed-through GPU the driver says so of "Virtual
 * Applications" without any license (NVIDIA's nvidia_smi.py): that one does not count.
 */
bool license_held(const struct license_gpu *gpu);

/*
 * Every GPU is there and licensed: the driver shows all `gpus` of the PCI bus, and each
 * that needs a license has one. False for a report of nothing, NULL too.
 */
bool license_all_held(const struct license_report *report, size_t gpus, int feature_type);

/*
 * Whether some GPU of the PCI bus will need a license, before the driver can tell: a
 * vGPU, or any where `feature_type` licenses GPUs that are passed through. `offline`:
 * yes, for the guests that an image will boot as.
 */
bool license_is_needed(const struct gpu_list *gpus, int feature_type, bool offline);

/* Whether the driver takes some GPU for a vGPU. */
bool license_has_vgpu(const struct license_report *report);
const char *license_state_name(enum license_state state);

/*
 * ERROR_DRIVER where the driver has words of trouble in place of the mode or the license
 * of a GPU that needs one ("GPU requires reset", "ERR!", "[Unknown Error]"): they name no
 * state, so there is nothing to judge a license by.
 */
must_check int license_check_words(const struct license_report *report, int feature_type,
				   struct error *err);

struct license_reason {
	const char *code; /* of the contract, static; NULL: none */
	char message[320];
	char hint[320]; /* "": none */
	bool by_daemon; /* `message` is a line of nvidia-gridd's journal */
};

/* The contract's `status` object of `gpus` GPUs; `report` NULL: nothing could be read. */
struct json *license_report_json(const struct license_report *report, size_t gpus,
				 int feature_type, const struct license_reason *reason,
				 int64_t now);
