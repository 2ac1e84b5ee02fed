/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `seal`: before a snapshot of this guest becomes an image.
 */

#include "core/pipeline.h"

/*
 * Looks for copies of a token first: where one lies outside of the places that are
 * emptied, ERROR_TOKEN names it and nothing has been removed. The driver, gridd.conf and
 * the operator's configuration stay. A second time nothing changes.
 */
must_check int command_seal(struct agent *agent, struct pipeline_report *ret_report,
			    struct error *err);
