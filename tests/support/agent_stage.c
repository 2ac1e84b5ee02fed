/* SPDX-License-Identifier: Apache-2.0 */
#include "support/agent_stage.h"

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
