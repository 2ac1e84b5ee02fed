/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The mark of seal and uninstall: what was taken away by hand does not come back by
 * itself. While the mark is there, no unit and no hook of ours does anything; it goes
 * with the next boot or with a `run` by hand.
 */

#include <stdbool.h>

#include "base/root.h"
#include "base/run.h"

/*
 * Makes the mark, then stops the agent's own units. `ret_changed`: one of them was
 * active. A system without systemd has none.
 */
must_check int sealed_begin(struct runner *runner, const struct root *root,
			    bool *ret_changed, struct error *err);

/* Where that cannot be told, it is: what comes back by mistake is in an image for good.
 */
bool sealed_is(const struct root *root);

/* Takes the mark away, and starts again what is enabled of the units. No mark: nothing
 * is done. */
must_check int sealed_end(struct runner *runner, const struct root *root,
			  struct error *err);
