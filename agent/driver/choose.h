/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which driver this guest is to have: what is installed, what the repository has, and the
 * rules of model/match.h, brought together.
 */

#include "commands/agent.h"

/*
 * Fills agent->match. With `look_further` the repository is asked even where an installed
 * driver fits. A repository that cannot be reached is only an error where it is needed;
 * otherwise `ret_warning` says so. A driver of others that does not fit is ERROR_INSTALL.
 */
must_check int choose_driver(struct agent *agent, bool look_further, char *ret_warning,
			     size_t size, struct error *err);

/* Reads what the repository has into agent->repository; none is set: 0. */
must_check int choose_list(struct agent *agent, struct error *err);

/* Decides anew for exactly this version: its package is needed once more. */
must_check int choose_again(struct agent *agent, const char *version, struct error *err);

/* Whether a target lacks modules of `version` and no sources of it are kept. */
bool choose_needs_package(struct agent *agent, const char *version);

/* Marks the targets that have `version` already, from where it is wanted. */
must_check int choose_look_at_targets(struct agent *agent, const char *version,
				      struct error *err);

/*
 * Whether DKMS is to build the modules: driver.dkms, for a .run. What brings its own
 * scripts brings its own DKMS.
 */
bool choose_dkms(const struct agent *agent);
bool choose_targets_done(const struct agent *agent);

/* The package kind that this system's own package manager installs. */
enum package_kind choose_os_kind(const struct agent *agent);
