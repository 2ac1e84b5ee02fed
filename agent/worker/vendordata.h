/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The object `vgpu_guest_agent` in the vendordata that nova serves (contract, section 5),
 * and what several documents say put together.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "base/span.h"

#define VENDORDATA_SIZE_MAX (1u << 20)

enum vendordata_verdict {
	VENDORDATA_NONE, /* the document does not know us */
	VENDORDATA_FOUND,
	VENDORDATA_EMPTY, /* a dynamic service failed: ask again */
	VENDORDATA_ODD,   /* no JSON, or not what it should be */
};

struct vendordata {
	struct json *object; /* merged; never NULL between begin and done */
	struct json *warnings;
	struct json *sources; /* those where something was found, best first */
	char *token;          /* NULL: none; wiped by vendordata_done() */
	size_t token_size;
	char token_source[64];
};

#define VENDORDATA_INIT ((struct vendordata){ 0 })

must_check int vendordata_begin(struct vendordata *data, struct error *err);
void vendordata_done(struct vendordata *data);

/*
 * Adds one document; what earlier ones said stays. `source` names it in warnings
 * ("metadata service, vendor_data2.json"). `dynamic`: it is a vendor_data2.json, where
 * the object may also lie below the name of a service. -1 only when memory is out.
 */
must_check int vendordata_add(struct vendordata *data, const char *source, bool dynamic,
			      struct span text, enum vendordata_verdict *ret_verdict,
			      struct error *err);

/* One more warning, "<source>: <why>"; those after the first 20 are dropped. */
must_check int vendordata_warn(struct vendordata *data, const char *source,
			       const char *why);
