/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the user reads on standard error: one line per step, a live bar on a
 * terminal. Only core/ and cli/ log; below, errors travel.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE, /* one line per step; the default */
	LOG_LEVEL_INFO,   /* -v */
	LOG_LEVEL_DEBUG,  /* -vv */
};

void log_set_level(enum log_level level);

/* Whether a line of this level is shown: to ask what it would say only then. */
bool log_shows(enum log_level level);

/* False for an unknown word. */
bool log_level_parse(const char *word, enum log_level *ret_level);

/* A terminal that obeys more than line ends: never with TERM=dumb or none. */
bool log_is_terminal(int fd);

/* Colour: on such a terminal, and never with NO_COLOR set to anything but "". */
bool log_has_colour(int fd);

void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);

/*
 * Progress of one step: a bar redrawn in place on a terminal, one line per 10 %
 * elsewhere. `total` 0: unknown, then only bytes are shown. log_progress_end() closes it.
 */
void log_progress(const char *what, uint64_t done, uint64_t total);
void log_progress_end(void);
