/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A view of the file system for a worker on a kernel without Landlock (RHEL 9): all of it
 * read-only, without devices and set-user-id programs, and folders of other people's
 * files empty but for what name services keep there.
 */

#include <stdbool.h>

/*
 * For root's child between fork(2) and exec of `program`, whose own folder stays as it
 * is. False: not to be had, or only in part; containers forbid it.
 */
bool confine_mounts_hide(const char *program);
