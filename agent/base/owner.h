/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work in a folder that belongs to a user of fewer rights. Root that works there by path
 * can be led elsewhere by that user, who may swap anything for a link at any time; what
 * is done with the user's own rights can be led nowhere that is not the user's already.
 */

#include "base/root.h"

/*
 * Calls `work`: in a child with the rights of the owner of `folder` where we are root and
 * the owner is not; directly otherwise, also where there is no folder yet. What `work`
 * changes in memory is lost with the child; its error is handed on.
 */
must_check int owner_do(const struct root *root, const char *folder,
			int (*work)(void *context, struct error *err), void *context,
			struct error *err);
