/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A look at a configuration file's tokens before libconfig reads it, for what libconfig
 * does without a word: it follows `@include` and wraps numbers around.
 */

#include "base/error.h"
#include "base/span.h"

/* ERROR_USAGE with "FILE:LINE: ..." for an include, a number too large, a NUL byte. */
must_check int settings_scan(struct span text, const char *file, struct error *err);
