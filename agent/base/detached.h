/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file system that is mounted for this process alone: it has no place in the tree, so
 * nobody can swap the folder that it lies on, see it, or find it left behind.
 */

#include "base/error.h"

/*
 * Mounts the block device `device` (a descriptor; its number counts, no path) as
 * `file_system`: read-only, and nothing on it is executed or a device. `ret_folder` is
 * its top folder (O_PATH); closing it unmounts. By fsopen(2), of Linux 5.2; where that is
 * not to be had, by mount(2) in a mount namespace of a child's own.
 */
must_check int detached_open(int device, const char *file_system, int *ret_folder,
			     struct error *err);

/* The second way, by itself: for detached_open() and its test. */
must_check int detached_apart_open(int device, const char *file_system, int *ret_folder,
				   struct error *err);
