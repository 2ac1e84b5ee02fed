/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What both programs of the worker begin and end with: one request on descriptor 3, the
 * job, one answer there.
 */

#include <stdbool.h>
#include <stddef.h>

#include "worker/job/job.h"

/*
 * The body of main(): `argv` as base/channel_spawn.h gives it. `online`: this program has
 * the network (worker/sandbox.h). Returns the exit status.
 */
int worker_run(int argc, char **argv, const struct job *jobs, size_t count, bool online);
