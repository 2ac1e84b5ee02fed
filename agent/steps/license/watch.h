/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Notices changes of files that are replaced as a whole: by inotify on their folders.
 */

#include "base/root.h"

#define WATCH_MAX 8

struct watch {
	int fd; /* can be read when something happened */
	size_t count;
	struct watch_entry {
		char folder[256];
		const char *name; /* static or the caller's; NULL: any file in it */
		unsigned mark;    /* what watch_read() reports for it */
		int wd;
	} entries[WATCH_MAX];
};

#define WATCH_INIT ((struct watch){ .fd = -1 })

must_check int watch_open(struct watch *ret_watch, struct error *err);

/* A file, or with `name` NULL whatever is in the folder. One that cannot be watched yet
 * is tried again by watch_refresh(). */
must_check int watch_add(struct watch *watch, const char *folder, const char *name,
			 unsigned mark, struct error *err);

/* Watches folders that were not there, or are others now. Cheap. */
void watch_refresh(struct watch *watch, const struct root *root);

/* The marks of all that happened since the last call, or-ed; does not wait. */
unsigned watch_read(struct watch *watch);

void watch_close(struct watch *watch);
