/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The steps that bring the license: configure, token, gridd, license.
 */

#include "commands/agent.h"
#include "model/outcome.h"

must_check int licensing_configure(struct agent *agent, struct outcome *outcome,
				   struct error *err);

/*
 * Of the tokens, the first counts: FILE of the command line, metadata,
 * license.token_file, the installed one. None at all is ERROR_TOKEN only where some GPU
 * needs a license.
 */
must_check int licensing_token(struct agent *agent, struct outcome *outcome,
			       struct error *err);

/* Restarts nvidia-gridd when what it reads is younger than its last start. */
must_check int licensing_gridd(struct agent *agent, struct outcome *outcome,
			       struct error *err);

/* Waits until every vGPU is licensed; ERROR_UNLICENSED with the daemon's own reason. */
must_check int licensing_license(struct agent *agent, struct outcome *outcome,
				 struct error *err);

/* The token that counts: a descriptor, -1 for none; `ret_source` says whose it is. */
must_check int licensing_open_token(struct agent *agent, int *ret_fd, size_t *ret_count,
				    const char **ret_source, struct error *err);

/*
 * The command `token check`: the contract's object, of the token that counts. ERROR_TOKEN
 * for anything suspect, with the object all the same.
 */
must_check int licensing_check(struct agent *agent, struct json **ret_report,
			       struct error *err);

/* The same answer for a file that is not there. */
must_check int licensing_check_missing(const char *path, struct json **ret_report,
				       struct error *err);
