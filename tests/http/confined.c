/* SPDX-License-Identifier: Apache-2.0 */

/*
 * confined online|offline COUNT PROGRAM [old]: becomes PROGRAM as the agent's child does,
 * with COUNT descriptors from 3 on, so that the tests of the worker meet what holds it.
 * "old": on a kernel that knows no Landlock.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/confine.h"

static int forget_landlock(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 444, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = lines };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(int argc, char **argv)
{
	struct confine confine;
	const char *failed = NULL;
	char told[2] = "0";
	unsigned layers = 0;

	if (argc < 4)
		return 2;
	(void)confine_begin(&confine);
	confine.parent = getppid();
	confine.online = strcmp(argv[1], "online") == 0;
	confine.fds = (unsigned)strtoul(argv[2], NULL, 10);
	confine.file_size = 1ull << 30;
	confine.program = argv[3];
	if (argc > 4 && forget_landlock() < 0)
		failed = "forgetting Landlock";
	if (!failed)
		failed = confine_enter(&confine, &layers);
	if (!failed) {
		told[0] = (char)('0' + layers);
		(void)execve(argv[3], (char *[]){ argv[3], argc > 4 ? told : NULL, NULL },
			     environ);
		failed = "loading the program";
	}
	perror(failed);
	return 1;
}
