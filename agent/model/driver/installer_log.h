/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The log of nvidia-installer: its exit status knows only success and failure, so the
 * cause stands there. And the options it says it knows.
 */

#include "base/span.h"

/*
 * The texts of the first ERROR lines, joined by "; ", white space folded, control bytes
 * made '?'; "" when there are none. "Installation has failed" tells nothing and is left
 * out where another one says why.
 */
void installer_log_errors(struct span log, char *ret_text, size_t size);

/* Whether the output of --advanced-options names an option: "--no-x-check". */
bool installer_log_has_option(struct span help, const char *option);
