/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What make and the compiler say of a build that failed.
 */

#include "base/span.h"

enum build_log_cause {
	BUILD_LOG_SOURCE,  /* the compiler, the linker or make do not like something */
	BUILD_LOG_KILLED,  /* a signal ended compiler or linker: mostly for want of memory
			    */
	BUILD_LOG_NO_TOOL, /* a program that the build calls is not there, or unfit */
};

/*
 * The lines that tell, joined by "; ": of a missing tool the one that names the tool;
 * the first errors of compiler, linker and modpost, else the first complaint of make,
 * else the last line. Folders before file names are left out, control bytes are made '?'.
 */
enum build_log_cause build_log_read(struct span output, char *ret_text, size_t size);
