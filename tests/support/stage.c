/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stage.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"

#define GPU "/bus/pci/devices/0000:06:00.0"

void stage_set(struct stage *ret_stage, const struct sysroot *sysroot)
{
	*ret_stage = (struct stage){ .ctx = CONTEXT_INIT };
	context_tools_init(&ret_stage->tools, -1);
	ret_stage->ctx.options = &ret_stage->options;
	ret_stage->ctx.job = JOB_RUN;
	ret_stage->ctx.root = ret_stage->ctx.caller = ret_stage->ctx.sysfs =
		sysroot->root;
	ret_stage->ctx.tools = &ret_stage->tools;
	ret_stage->ctx.runner = &ret_stage->tools.runner;
	ret_stage->ctx.channel = &ret_stage->tools.channel;
	settings_init(&ret_stage->ctx.base);
	settings_init(&ret_stage->ctx.settings);
}

void stage_clear(struct stage *stage)
{
	context_tools_close(&stage->tools);
}

void stage_add_gpu(const struct sysroot *sysroot)
{
	sysroot_mkdir(sysroot, GPU);
	sysroot_write(sysroot, GPU "/vendor", "0x10de\n");
	sysroot_write(sysroot, GPU "/class", "0x030000\n");
	sysroot_write(sysroot, GPU "/device", "0x1eb8\n");
	sysroot_write(sysroot, GPU "/subsystem_device", "0x130f\n");
}

void stage_add_program(const struct sysroot *sysroot, const char *path, const char *text)
{
	struct error err = ERROR_INIT;
	char full[PATH_MAX];
	char *name;

	(void)snprintf(full, sizeof(full), "%s", path);
	name = strrchr(full, '/');
	*name = '\0';
	if (full[0])
		assert_int_equal(root_mkdir(&sysroot->root, full, 0755, &err), 0);
	sysroot_write(sysroot, path, text);
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

void stage_set_worker(struct stage *stage, const struct sysroot *sysroot,
		      const char *script)
{
	char text[2048];
	int n = snprintf(text, sizeof(text), "#!/bin/sh\nread -r request <&3\n%s\n",
			 script);

	assert_in_range(n, 1, sizeof(text) - 1);
	stage_add_program(sysroot, "/worker", text);
	(void)snprintf(stage->tools.worker, sizeof(stage->tools.worker), "%s/worker",
		       sysroot->dir);
}
