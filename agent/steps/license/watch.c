/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/text.h"

#define EVENTS                                                                  \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | \
	 IN_ATTRIB | IN_ONLYDIR)

int watch_open(struct watch *ret_watch, struct error *err)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return error_set_errno(err, errno, "watching files");
	*ret_watch = (struct watch){ .fd = fd };
	return 0;
}

int watch_add(struct watch *watch, const char *folder, const char *name, unsigned mark,
	      struct error *err)
{
	struct watch_entry *entry = &watch->entries[watch->count];

	if (watch->count == WATCH_MAX ||
	    !text_copy(entry->folder, sizeof(entry->folder), folder))
		return error_set(err, ERROR_INTERNAL, "watching %s: no room", folder);
	entry->name = name;
	entry->mark = mark;
	entry->wd = -1;
	watch->count++;
	return 0;
}

void watch_refresh(struct watch *watch, const struct root *root)
{
	for (size_t i = 0; i < watch->count; i++) {
		struct watch_entry *entry = &watch->entries[i];
		struct error ignored = ERROR_INIT;
		char path[64];
		cleanup_fd int fd = root_open_at(root, entry->folder,
						 O_RDONLY | O_DIRECTORY, 0, &ignored);

		if (fd >= 0 && text_format(path, sizeof(path), "/proc/self/fd/%d", fd))
			entry->wd = inotify_add_watch(watch->fd, path, EVENTS);
	}
}

/* `name` is "" where the folder itself is meant. */
static unsigned marks_of(const struct watch *watch, const struct inotify_event *head,
			 const char *name)
{
	unsigned marks = 0;

	for (size_t i = 0; i < watch->count; i++) {
		const struct watch_entry *entry = &watch->entries[i];

		if (head->mask & IN_Q_OVERFLOW)
			marks |= entry->mark;
		if (entry->wd != head->wd)
			continue;
		if (!entry->name || strcmp(name, entry->name) == 0)
			marks |= entry->mark;
	}
	return marks;
}

unsigned watch_read(struct watch *watch)
{
	char bytes[4096];
	unsigned marks = 0;
	ssize_t n;

	while ((n = read(watch->fd, bytes, sizeof(bytes))) > 0) {
		size_t at = 0;

		while (at + sizeof(struct inotify_event) <= (size_t)n) {
			struct inotify_event head;
			const char *name = bytes + at + sizeof(head);

			memcpy(&head, bytes + at, sizeof(head));
			at += sizeof(head) + head.len;
			if (at > (size_t)n)
				break;
			marks |= marks_of(watch, &head, head.len ? name : "");
		}
	}
	return marks;
}

void watch_close(struct watch *watch)
{
	if (watch->fd >= 0)
		(void)close(watch->fd);
	watch->fd = -1;
}
