/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The first two steps of every job: what is here, and what the metadata wants.
 */

#include "commands/agent.h"
#include "model/outcome.h"

/*
 * Fills gpus, host, os, kernels, driver and the targets. Online, ERROR_NO_GPU where there
 * is none. Offline nothing is looked for but the system's files.
 */
must_check int guest_detect(struct agent *agent, struct outcome *outcome,
			    struct error *err);

/* The same without the error for a guest without GPU: for `detect` and `plan`. */
must_check int guest_look(struct agent *agent, struct error *err);

/* Of it only the system, its kernels and the targets. */
must_check int guest_kernels(struct agent *agent, struct error *err);

/* Asks the metadata and puts the settings together. */
must_check int guest_metadata(struct agent *agent, struct outcome *outcome,
			      struct error *err);
