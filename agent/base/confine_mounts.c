/* SPDX-License-Identifier: Apache-2.0 */
#include "base/confine_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/text.h"

/* Whose files are nobody's business. /etc stays: the resolver and TLS read it. */
static const char *const hidden[] = { "/root",    "/home",    "/tmp",
				      "/var/tmp", "/var/lib", "/run" };

/* What the name services have below them; made anew, in this order. */
static const struct {
	const char *path;
	bool bound; /* else only a folder on the way */
} kept[] = {
	{ "/run/systemd", false },   { "/run/systemd/resolve", true },
	{ "/run/nscd", true },       { "/var/lib/sss", false },
	{ "/var/lib/sss/mc", true }, { "/var/lib/sss/pipes", true },
};

/* Of linux/mount.h, which older systems do not have beside sys/mount.h. */
struct attributes {
	uint64_t set, clear, propagation, user_namespace;
};
#define READ_ONLY_NO_SUID_NO_DEVICES (1ull | 2ull | 4ull)

static bool holds(const char *folder, const char *program)
{
	size_t size = strlen(folder);

	return strncmp(folder, program, size) == 0 && program[size] == '/';
}

static bool hide(const char *program)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		if (holds(hidden[i], program))
			continue; /* a build that was not installed */
		if (mount("none", hidden[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  "mode=0711,size=64k") < 0 &&
		    errno != ENOENT)
			return false;
	}
	return true;
}

static bool bind_again(int fd, const char *path)
{
	char link[32];

	return text_format(link, sizeof(link), "/proc/self/fd/%d", fd) &&
	       mount(link, path, NULL, MS_BIND | MS_REC, NULL) == 0;
}

bool confine_mounts_hide(const char *program)
{
	struct attributes attributes = { .set = READ_ONLY_NO_SUID_NO_DEVICES };
	int fds[ARRAY_SIZE(kept)];

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	/* Closed by exec. Opened here: those of another namespace cannot be bound. */
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		fds[i] = open(kept[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!hide(program))
		return false;

	(void)umask(S_IWGRP | S_IWOTH);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (fds[i] < 0)
			continue; /* that service is not here */
		if (mkdir(kept[i].path, 0755) < 0 && errno != EEXIST)
			return false;
		if (kept[i].bound && !bind_again(fds[i], kept[i].path))
			return false;
	}
	return syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes,
		       sizeof(attributes)) == 0;
}
