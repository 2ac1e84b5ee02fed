/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/reason.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/sysroot.h"

static unsigned reads;

/* Stands before libsystemd's: there is no journal. */
int sd_journal_open(sd_journal **ret, int flags)
{
	(void)ret;
	(void)flags;
	reads++;
	return -ENOENT;
}

static void prepare(const struct sysroot *sysroot, struct agent *agent)
{
	const struct agent_options options = { .config = NULL };

	agent_init(agent, &options, -1);
	settings_init(&agent->settings);
	agent->root = sysroot->root;
	agent->license =
		(struct license_report){ .count = 1,
					 .gpus = { { .virtualization = "VGPU" } } };
	reads = 0;
}

static const char *find(struct agent *agent, struct reason_memory *memory,
			const char *active)
{
	static struct license_reason reason;
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;

	fake.active = active;
	fake_systemd_start(&fake);
	reason_find(agent, memory, &reason);
	fake_systemd_stop(&fake);
	return reason.code ? reason.code : "";
}

static void what_is_missing_on_this_system_is_the_reason(void **state)
{
	struct agent agent;

	prepare(*state, &agent);
	assert_string_equal(find(&agent, NULL, "active"), "token_missing");

	sysroot_mkdir(*state, "/etc");
	sysroot_mkdir(*state, "/etc/nvidia");
	sysroot_mkdir(*state, "/etc/nvidia/ClientConfigToken");
	sysroot_mkdir(*state, "/etc/nvidia/ClientConfigToken/a.tok");
	assert_string_equal(find(&agent, NULL, "active"), "token_unreadable");
}

static void who_looks_often_reads_only_what_may_have_changed(void **state)
{
	struct reason_memory memory = { 0 };
	unsigned once;
	struct agent agent;

	prepare(*state, &agent);
	assert_string_equal(find(&agent, &memory, "active"), "token_missing");
	once = reads;
	assert_true(once > 0);
	assert_string_equal(find(&agent, &memory, "active"), "token_missing");
	assert_int_equal(reads, once);

	(void)find(&agent, &memory, "inactive");
	assert_int_equal(reads, 2 * once);
	memory.until = 0;
	(void)find(&agent, &memory, "inactive");
	assert_int_equal(reads, 3 * once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_missing_on_this_system_is_the_reason, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			who_looks_often_reads_only_what_may_have_changed, sysroot_setup,
			sysroot_teardown),
	};

	return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
