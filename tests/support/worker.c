/* SPDX-License-Identifier: Apache-2.0 */
#include "support/worker.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "support/cmocka.h"

#define WORKER "/worker"
#define REQUESTS "/requests"

void worker_set(struct stage *stage, const struct sysroot *sysroot,
		const struct worker_answer *answers)
{
	char *path = stage->tools.worker;
	FILE *f;

	assert_true(text_format(path, sizeof(stage->tools.worker), "%s%s", sysroot->dir,
				WORKER));
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fprintf(f, "#!/bin/sh\nhere=${0%%/*}\nread -r request <&3\n"
			 "printf '%%s\\n' \"$request\" >>\"$here" REQUESTS "\"\n"
			 "case $request in\n");
	for (const struct worker_answer *row = answers; row->job; row++)
		(void)fprintf(f, "*'\"job\":\"%s\"'*) %s\nprintf '%%s\\n' '%s' >&3 ;;\n",
			      row->job, row->act ? row->act : ":", row->answer);
	assert_true(fputs("esac\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

int worker_count(const struct sysroot *sysroot, const char *text)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *requests = NULL;
	size_t size;
	int count = 0;

	if (file_read(&sysroot->root, REQUESTS, 1 << 20, &requests, &size, &ignored) < 0)
		return 0;
	for (const char *at = requests; (at = strstr(at, text)); at += strlen(text))
		count++;
	return count;
}
