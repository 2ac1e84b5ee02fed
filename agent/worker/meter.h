/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The head of a chain of sinks: counts what comes from the network and tells the agent
 * how far the whole is.
 */

#include <stdint.h>

#include "worker/sink.h"

struct meter {
	struct sink sink;
	uint64_t done, total; /* of what is wanted; total 0: not known */
	uint64_t received;    /* also what was dropped again */
};

void meter_begin(struct meter *meter, uint64_t done, uint64_t total, struct sink *next);
