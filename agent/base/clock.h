/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The time, spans of it, and waiting that a signal can end.
 */

#include <stdint.h>
#include <time.h>

#include "base/error.h"

double clock_monotonic(void); /* seconds, for measuring */
int64_t clock_now(void);      /* seconds since 1970, UTC */

/* Returns -1, interrupted, when `cancel_fd` can be read meanwhile (-1: never). */
must_check int clock_sleep(double seconds, int cancel_fd, struct error *err);

/* "2026-11-22T21:23:20Z"; the buffer holds at least CLOCK_TEXT_SIZE bytes. */
#define CLOCK_TEXT_SIZE 32
char *clock_text(int64_t time, char *buffer, size_t size);

/* Reads such a text back; false for any other. */
bool clock_read(const char *text, int64_t *ret_time);

/* Whether the kernel says that the clock is synchronised (adjtimex). */
bool clock_is_synchronized(void);
