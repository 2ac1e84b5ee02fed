/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text that is shown on a terminal again and again, in place: each frame is one write,
 * so that nothing flickers, and none is higher than the terminal, so that nothing
 * scrolls.
 */

#include <stdbool.h>

#include "base/error.h"

struct screen {
	unsigned rows, columns; /* of the frame before; 0: none yet */
};

/* Whether a terminal that knows the usual escape sequences is at standard output. */
bool screen_is_there(void);

/*
 * Draws `text`, lines of UTF-8 with colours, over the frame before. Lines that are too
 * many are left out, and three dots stand for them.
 */
must_check int screen_draw(struct screen *screen, const char *text, struct error *err);

/*
 * The bytes of one frame, for `rows` and `columns` of at least 1. The caller frees them;
 * NULL when memory is out.
 */
char *screen_frame(const char *text, unsigned rows, unsigned columns);
