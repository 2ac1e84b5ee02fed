/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/reason.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/stage.h"

static unsigned reads;

/* Stands before libsystemd's: there is no journal. */
int sd_journal_open(sd_journal **ret, int flags)
{
	(void)ret;
	(void)flags;
	reads++;
	return -ENOENT;
}

static const struct license_report one_vgpu = {
	.count = 1, .gpus = { { .virtualization = "VGPU" } }
};

static const char *find(const struct sysroot *sysroot, struct reason_memory *memory,
			const char *active)
{
	static struct license_reason reason;
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;
	struct stage stage;

	stage_set(&stage, sysroot);
	fake.active = active;
	fake_systemd_start(&fake);
	reason_find(&stage.ctx, &one_vgpu, memory, &reason);
	fake_systemd_stop(&fake);
	return reason.code ? reason.code : "";
}

static void what_is_missing_on_this_system_is_the_reason(void **state)
{
	assert_string_equal(find(*state, NULL, "active"), "token_missing");

	sysroot_mkdir(*state, "/etc");
	sysroot_mkdir(*state, "/etc/nvidia");
	sysroot_mkdir(*state, "/etc/nvidia/ClientConfigToken");
	sysroot_mkdir(*state, "/etc/nvidia/ClientConfigToken/a.tok");
	assert_string_equal(find(*state, NULL, "active"), "token_unreadable");
}

static void who_looks_often_reads_only_what_may_have_changed(void **state)
{
	struct reason_memory memory = { 0 };
	unsigned once;

	reads = 0;
	assert_string_equal(find(*state, &memory, "active"), "token_missing");
	once = reads;
	assert_true(once > 0);
	assert_string_equal(find(*state, &memory, "active"), "token_missing");
	assert_int_equal(reads, once);

	(void)find(*state, &memory, "inactive");
	assert_int_equal(reads, 2 * once);
	memory.until = 0;
	(void)find(*state, &memory, "inactive");
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
