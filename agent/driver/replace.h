/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The change of the driver itself. It is finished or undone, whatever happens: before the
 * package's installer removes the old driver, state.json names the new one and its
 * package lies in the state folder; only when nvidia-smi has answered does the new one
 * become the state's `driver`. A run that was cut off is taken up by the next one
 * (core/driver.c).
 */

#include "commands/agent.h"

/*
 * Puts agent->package_path and the modules of agent->built in place and proves that they
 * work. Where that fails, the driver that was there is put back from its own package at
 * once, and the hint says so.
 */
must_check int replace_driver(struct agent *agent, struct error *err);

/*
 * After `error` in what an earlier run had left to finish. Where another try would end no
 * better, the next run does not make it: it puts the old driver back, and where that is
 * what failed it decides anew.
 */
void replace_abandon(struct agent *agent, const struct error *error);

/* Only the modules that were built, for the targets that lacked them. */
must_check int replace_modules(struct agent *agent, bool *ret_changed, struct error *err);

/*
 * After it works: what of ours no longer counts goes out of DKMS, with its sources; where
 * DKMS has those of this driver, ours are not needed.
 */
must_check int replace_tidy(struct agent *agent, bool *changed, struct error *err);

/* Loads the modules, and nvidia-smi answers; nothing offline. */
must_check int replace_load(struct agent *agent, bool *ret_changed, struct error *err);
