/* SPDX-License-Identifier: Apache-2.0 */

/*
 * confined online|offline COUNT PROGRAM [old]: becomes PROGRAM as the agent's child does,
 * with COUNT descriptors from 3 on, so that the tests of the worker meet what holds it.
 * "old": on a kernel that knows no Landlock.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "support/kernel.h"

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
	if (argc > 4 && kernel_without_landlock() < 0)
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
