/* SPDX-License-Identifier: Apache-2.0 */

/*
 * confined online|offline COUNT PROGRAM: becomes PROGRAM as the agent's child does, with
 * COUNT descriptors from 3 on, so that the tests of the worker meet what holds it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"

int main(int argc, char **argv)
{
	struct confine confine;
	const char *failed;
	bool alone;

	if (argc != 4)
		return 2;
	(void)confine_begin(&confine);
	confine.parent = getppid();
	confine.online = strcmp(argv[1], "online") == 0;
	confine.fds = (unsigned)strtoul(argv[2], NULL, 10);
	confine.file_size = 1ull << 30;
	failed = confine_enter(&confine, &alone);
	if (!failed) {
		(void)execve(argv[3], (char *[]){ argv[3], NULL }, environ);
		failed = "loading the program";
	}
	perror(failed);
	return 1;
}
