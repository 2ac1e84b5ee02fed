/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * NVIDIA's vgpuDriverCatalog.yaml as a value, and which guest versions it allows on a
 * host. Semantics: those of NVIDIA's vgpu-util (gpu-driver-container), its slips mended.
 * The worker reads the YAML and hands it over as JSON.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "model/gpu.h"

struct catalog;

/* `json` is {"branch":[...],"driver":[...]} in the catalog's own keys, scalars as text.
 */
must_check int catalog_from_json(const struct json *json, struct catalog **ret_catalog,
				 struct error *err);
void catalog_free(struct catalog *catalog);
static inline void catalog_cleanup_(struct catalog **catalog)
{
	catalog_free(*catalog);
}
#define cleanup_catalog cleanup(catalog_cleanup_)

struct catalog_host {
	/* Compared without regard to case. Without a branch: the one that the catalog has
	 * for a host driver of this version. */
	const struct host_driver *driver;
	uint16_t device, subsystem_device; /* 0: not known, denied for no GPU's sake */
	const char *hypervisor;            /* "" when not known */
};

enum catalog_verdict {
	CATALOG_ALLOWED,
	CATALOG_SAME_BRANCH, /* allowed, and of the host's own branch: preferred */
	CATALOG_UNKNOWN,     /* the catalog does not list this version or this host */
	CATALOG_DENIED,      /* a deny list names it: also a veto for the other rules */
};

/* `ret_why`: static words for the report. */
enum catalog_verdict catalog_judge(const struct catalog *catalog,
				   const struct catalog_host *host,
				   const char *guest_version, const char **ret_why);
