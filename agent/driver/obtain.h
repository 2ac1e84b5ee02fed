/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From the file that was chosen to the driver's package: fetched, verified, taken out of
 * its bundle, and judged by what it holds.
 */

#include "driver/work.h"
#include "model/outcome.h"
#include "model/repository/repository.h"

/* What fetch will be asked for. `input` borrows from here, the context and the work. */
struct obtain_request {
	char url[SETTINGS_URL_MAX + 3 * PACKAGE_NAME_MAX];
	struct package package; /* with the checksum that counts: the pin's, if any */
	struct fetch_input input;
};

/* ERROR_INTEGRITY where the pin contradicts the repository. */
must_check int obtain_prepare(const struct context *ctx,
			      const struct repository *repository,
			      const struct work *work, struct obtain_request *ret_request,
			      struct error *err);

/*
 * The chosen file to the cache: fills work->file. Nothing is fetched where work->driver
 * has its package, or is installed and stays.
 */
must_check int obtain_fetch(const struct context *ctx,
			    const struct repository *repository, struct work *work,
			    struct outcome *outcome, struct error *err);

/*
 * Judges the file and takes the driver out of it: work->driver is then what the package
 * itself says, with its path. ERROR_INTEGRITY where it contradicts the index,
 * ERROR_NO_MATCH where it contradicts host or guest.
 */
must_check int obtain_take_out(const struct context *ctx,
			       const struct repository *repository, struct work *work,
			       struct outcome *outcome, struct error *err);
