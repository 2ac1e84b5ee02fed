/* SPDX-License-Identifier: Apache-2.0 */
#include "support/agent_stage.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"

struct agent *agent_stage(const struct sysroot *sysroot, const struct options *options)
{
	static struct agent agent;
	struct error err = ERROR_INIT;

	agent_init(&agent, options, -1);
	agent.context.root = agent.context.caller = agent.context.sysfs = sysroot->root;
	settings_init(&agent.context.base);
	settings_init(&agent.context.settings);
	assert_int_equal(state_load(&sysroot->root, &agent.state, &err), 0);
	return &agent;
}

struct agent *agent_stage_guest(const struct sysroot *sysroot,
				const struct options *options, struct machine *machine)
{
	machine_init(machine, sysroot);
	stage_add_gpu(sysroot);
	sysroot_mkdir(sysroot, "/proc/sys/kernel");
	sysroot_write(sysroot, "/proc/sys/kernel/osrelease", MACHINE_KERNEL "\n");
	sysroot_write(sysroot, "/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
	return agent_stage_again(sysroot, options, machine);
}

struct agent *agent_stage_again(const struct sysroot *sysroot,
				const struct options *options, struct machine *machine)
{
	struct agent *agent = agent_stage(sysroot, options);

	agent->context.runner = &machine->runner;
	agent->context.base.metadata.enabled = false;
	agent->context.settings.metadata.enabled = false;
	return agent;
}

void agent_stage_end(struct agent *agent)
{
	work_done(&agent->work);
	repository_done(&agent->repository);
	metadata_done(&agent->metadata);
	state_done(&agent->state);
	context_tools_close(&agent->tools);
	if (agent->lease.token_fd >= 0)
		(void)close(agent->lease.token_fd);
	root_close(&agent->context.cache);
}

void agent_stage_worker(struct agent *agent, const struct sysroot *sysroot,
			const struct agent_stage_answer *answers)
{
	char text[8192];
	size_t used = (size_t)snprintf(
		text, sizeof(text),
		"#!/bin/sh\nread -r request <&3\nprintf '%%s\\n' \"$request\" >> "
		"%s/requests\ncase \"$request\" in\n",
		sysroot->dir);

	for (; answers->job; answers++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "*'\"job\":\"%s\"'*) %s ;;\n", answers->job,
					 answers->shell);
		assert_true(used < sizeof(text));
	}
	(void)snprintf(text + used, sizeof(text) - used, "*) exit 1 ;;\nesac\n");
	sysroot_write(sysroot, "/worker", text);
	assert_true(text_format(agent->tools.worker, sizeof(agent->tools.worker),
				"%s/worker", sysroot->dir));
	assert_int_equal(chmod(agent->tools.worker, 0755), 0);
}
