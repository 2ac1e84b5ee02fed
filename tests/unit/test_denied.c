/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/denied.h"

#include <string.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

#define AUDIT "/var/log/audit/audit.log"
#define AVC(seconds, what, permissive)                                                \
	"type=AVC msg=audit(" seconds ".123:456): avc:  denied  { module_load } for " \
	" pid=9 comm=\"modprobe\" path=\"" what                                       \
	"\" tcontext=system_u:object_r:unlabeled_t:s0 permissive=" permissive "\n"
#define IMA_LINE                                                                        \
	"type=INTEGRITY_DATA msg=audit(1764000005.1:7): op=appraise_data cause=missing" \
	"-hash comm=\"bash\" name=\"/usr/bin/nvidia-smi\" res=0\n"
#define MODULE "/usr/lib/modules/6/updates/nvidia.ko"
#define SAYS_EACCES "loading nvidia: modprobe: could not insert: Permission denied"
#define SAYS_EPERM "starting /usr/bin/nvidia-smi: Operation not permitted"

enum { SELINUX = 1, PERMISSIVE = 2, FAPOLICYD = 4, IMA = 8 };

struct row {
	unsigned at_work;
	const char *log; /* NULL: there is none */
	const char *text;
	const char *expected; /* stands in the text afterwards; NULL: as it was */
};

static void make_guest(const struct sysroot *sysroot, const struct row *row)
{
	static const char *const folders[] = { "/proc", "/sys/fs/selinux",
					       "/run/fapolicyd", "/var/log/audit" };

	sysroot_empty(sysroot);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		sysroot_mkdir(sysroot, folders[i]);
	sysroot_write(sysroot, "/proc/stat", "cpu 1 2\nbtime 1764000000\n");
	sysroot_write(sysroot, "/proc/cmdline",
		      row->at_work & IMA ? "quiet ima_appraise=enforce\n" : "quiet\n");
	if (row->at_work & (SELINUX | PERMISSIVE))
		sysroot_write(sysroot, "/sys/fs/selinux/enforce",
			      row->at_work & SELINUX ? "1" : "0");
	if (row->at_work & FAPOLICYD)
		sysroot_write(sysroot, "/run/fapolicyd/fapolicyd.fifo", "");
	if (row->log)
		sysroot_write(sysroot, AUDIT, row->log);
}

static void who_denied_it_is_said_where_it_can_be_known(void **state)
{
	static const struct row rows[] = {
		/* What was logged since the boot, of the driver's. */
		{ SELINUX, AVC("1764000001", MODULE, "0"), SAYS_EACCES,
		  "SELinux denied what the driver needs: type=AVC" },
		{ IMA, IMA_LINE, SAYS_EACCES, "IMA denied what the driver needs" },
		{ SELINUX, IMA_LINE, SAYS_EACCES, "IMA denied what the driver needs" },
		/* Nothing was. */
		{ SELINUX, NULL, SAYS_EACCES, "SELinux enforces and may" },
		{ SELINUX, AVC("1763999999", MODULE, "0"), SAYS_EACCES,
		  "SELinux enforces and may" },
		{ SELINUX, AVC("1764000001", MODULE, "1"), SAYS_EACCES,
		  "SELinux enforces and may" },
		{ FAPOLICYD, NULL, SAYS_EPERM, "fapolicyd enforces and may" },
		{ SELINUX | FAPOLICYD, NULL, SAYS_EPERM, "fapolicyd enforces and may" },
		{ SELINUX | FAPOLICYD, NULL, SAYS_EACCES, "SELinux enforces and may" },
		{ IMA, NULL, SAYS_EACCES, "IMA enforces and may" },
		/* None of them. */
		{ PERMISSIVE, NULL, SAYS_EACCES, NULL },
		{ SELINUX, NULL, SAYS_EPERM, NULL },
		{ FAPOLICYD, NULL, SAYS_EACCES, NULL },
		{ 0, NULL, SAYS_EPERM, NULL },
		{ SELINUX, AVC("1764000001", MODULE, "0"), "HTTP 503", NULL },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct error err = ERROR_INIT;

		make_guest(sysroot, row);
		assert_int_equal(error_set(&err, ERROR_INSTALL, "%s", row->text), -1);

		denied_explain(&sysroot->root, &err);

		if (row->expected ? !strstr(err.text, row->expected) || !err.hint[0] ||
					    !err.passing || !strstr(err.text, ": ")
				  : strcmp(err.text, row->text) != 0)
			fail_msg("row %zu: %s (%s)", i, err.text, err.hint);
	}
}

static void a_denial_of_something_else_is_none_of_the_drivers(void **state)
{
	static const struct row row = {
		SELINUX,
		"type=AVC msg=audit(1764000001.1:4): avc:  denied  { read } for  pid=9 "
		"comm=\"httpd\" name=\"index.html\" permissive=0\n",
		NULL, NULL
	};
	const struct sysroot *sysroot = *state;
	struct denied denied;

	make_guest(sysroot, &row);
	denied_look(&sysroot->root, 0, &denied);

	assert_string_equal(denied.by, "SELinux");
	assert_string_equal(denied.line, "");
}

/* A log of gigabytes: only its end is read, and what it says last counts. */
static void of_a_long_log_the_end_counts(void **state)
{
	static const struct row row = { SELINUX, "", NULL, NULL };
	static char log[400 << 10];
	static const char last[] = AVC("1764000009", "/usr/bin/nvidia-gridd", "0");
	const struct sysroot *sysroot = *state;
	struct denied denied;

	memset(log, '\n', sizeof(log));
	memcpy(log, AVC("1764000001", MODULE, "0"),
	       strlen(AVC("1764000001", MODULE, "0")));
	(void)strcpy(log + sizeof(log) - sizeof(last), last);
	make_guest(sysroot, &row);
	sysroot_write(sysroot, AUDIT, log);

	denied_look(&sysroot->root, 0, &denied);

	assert_non_null(strstr(denied.line, "nvidia-gridd"));
}

/* The kernel has its own word for it. */
static void what_signatures_refuse_nobody_else_has_denied(void **state)
{
	static const struct row row = { SELINUX, NULL, NULL, NULL };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	make_guest(sysroot, &row);
	assert_int_equal(error_set(&err, ERROR_SECURE_BOOT, SAYS_EACCES), -1);
	denied_explain(&sysroot->root, &err);

	assert_string_equal(err.text, SAYS_EACCES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_denied_it_is_said_where_it_can_be_known),
		TEST(a_denial_of_something_else_is_none_of_the_drivers),
		TEST(of_a_long_log_the_end_counts),
		TEST(what_signatures_refuse_nobody_else_has_denied),
	};

	return cmocka_run_group_tests_name("denied", tests, NULL, NULL);
}
