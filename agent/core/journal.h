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
#define JOURNAL_UNLICENSED "4d0b7f1e58c94b0a9a6c3e1f7b2d9c50"
#define JOURNAL_CHANGED "91c2a7e4f3d84c6fb0e5d8a16c7f4b23"
#define JOURNAL_EXPIRING "c7e95b3a20f1486d8b4a7d6e1f0c3952"
#define JOURNAL_SILENT "2f6a8d1c94be4375a1c0e7b85d3f6294"
#define JOURNAL_ANSWERS "58b1d4f0e7a24c939c6f2a3d8e5b7016"
#define JOURNAL_TOKEN_EXPIRING "e3a4c6d8f1b24975b8d0a2c4e6f81357"
#define JOURNAL_TOKEN_NEW "7c1f5e9b3d8a4620957be0d4f2a6c81d"
#define JOURNAL_TOKEN_BACK "b6d2e8f4a0c7413596d1f3b5e7a9c284"

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

/*
 * An event of the license, in a sentence. `priority` is syslog(3)'s. A monitor of a test
 * or by hand, below nobody's supervision, sends it too.
 */
void journal_event(const char *id, int priority, const char *text);
