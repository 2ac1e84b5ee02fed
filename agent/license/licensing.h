/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The steps that bring the license: configure, token, gridd, license.
 */

#include "core/guest.h"
#include "core/lease.h"
#include "model/outcome.h"
#include "steps/fetch/metadata.h"

/* gridd.conf as the settings want it. */
must_check int licensing_configure(const struct context *ctx, struct outcome *outcome,
				   struct error *err);

/*
 * The token that counts (license/which_token.h) to its place. None at all is ERROR_TOKEN
 * only where some GPU needs a license.
 */
must_check int licensing_token(const struct context *ctx, const struct guest *guest,
			       const struct metadata *metadata, struct lease *lease,
			       struct outcome *outcome, struct error *err);

/* Restarts nvidia-gridd when what it reads is younger than its last start. */
must_check int licensing_gridd(const struct context *ctx, const struct guest *guest,
			       struct lease *lease, struct outcome *outcome,
			       struct error *err);

/*
 * Waits up to license.wait until every GPU that needs one has a license; ERROR_UNLICENSED
 * with the daemon's own reason. A new token that does not license is taken back.
 */
must_check int licensing_license(const struct context *ctx, const struct guest *guest,
				 struct lease *lease, struct outcome *outcome,
				 struct error *err);
