/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lifecycle events as structured entries of the systemd journal. Message ids are stable:
 * append only, and explain each one in dist/vgpu-guest-agent.catalog.
 */

#include "base/error.h"
#include "model/outcome.h"

#define JOURNAL_STEP_DONE "6b0f4c5a1d0e4f3d9e0f6a4c2b7d8e11"
#define JOURNAL_STEP_FAILED "a3d1c0b27f9443bb8d1d5c6e9f2a4b52"
#define JOURNAL_LICENSED "0f8f1f6d7c7a4a1fb3b5b9f2f4c6d803"

/*
 * Sends one step's outcome with VGPU_STEP, VGPU_OUTCOME, VGPU_SECONDS and, where it
 * failed, VGPU_ERROR and the hint. No journal is no error.
 */
void journal_step(const struct outcome *outcome, const struct error *error);

/*
 * A line for whoever watches the guest boot. For a service, whose steps go to the journal
 * only as entries with fields, which no console shows. No console is no error.
 */
void journal_console(const char *line);

/* Whether standard error is the journal itself: then its lines need not be said twice. */
bool journal_is_stderr(void);
