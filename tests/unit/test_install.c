/* wrap: fstatvfs fstatvfs64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/install.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define UNIT "/usr/lib/systemd/system/nvidia-gridd.service"
#define WANTED "/etc/systemd/system/multi-user.target.wants/nvidia-gridd.service"

static unsigned long free_bytes;

int __wrap_fstatvfs(int fd, struct statvfs *fs);
int __wrap_fstatvfs(int fd, struct statvfs *fs)
{
	(void)fd;
	*fs = (struct statvfs){ .f_frsize = 1, .f_bavail = free_bytes };
	return 0;
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs);
int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	return __wrap_fstatvfs(fd, fs);
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static void a_missing_unit_is_provided_and_enabled_once(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	char target[128];
	bool changed = false;
	size_t size;

	assert_int_equal(install_gridd_unit(&sysroot->root, &changed, &err), 0);
	assert_true(changed);
	assert_int_equal(install_gridd_unit(&sysroot->root, &changed, &err), 0);
	assert_false(changed);

	assert_int_equal(file_read(&sysroot->root, UNIT, 4096, &text, &size, &err), 0);
	assert_non_null(strstr(text, "\nType=forking\n"));
	assert_non_null(strstr(text, "\nExecStart=/usr/bin/nvidia-gridd\n"));
	assert_non_null(strstr(text, "nss-lookup.target"));
	assert_int_equal(
		root_readlink(&sysroot->root, WANTED, target, sizeof(target), &err), 0);
	assert_string_equal(target, UNIT);
	assert_true(is_there(sysroot, "/var/lib/nvidia"));
}

static void a_unit_of_others_stays(void **state)
{
	static const char *const places[][2] = {
		{ "/usr/lib/systemd/system",
		  "/usr/lib/systemd/system/nvidia-gridd.service" },
		{ "/lib/systemd/system", "/lib/systemd/system/nvidia-gridd.service" },
		{ "/etc/systemd/system", "/etc/systemd/system/nvidia-gridd.service" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		bool changed = true;

		sysroot_mkdir(sysroot, places[i][0]);
		sysroot_write(sysroot, places[i][1], "theirs");
		assert_int_equal(install_gridd_unit(&sysroot->root, &changed, &err), 0);
		assert_false(changed);
		sysroot_assert_text(sysroot, places[i][1], "theirs");
		assert_false(is_there(sysroot, WANTED));
		(void)sysroot_teardown(state);
		(void)sysroot_setup(state);
	}
}

static void packages_go_through_their_manager(void **state)
{
	static const struct {
		enum package_kind kind;
		bool again;
		const char *path, *command;
	} cases[] = {
		{ PACKAGE_DEB, false, "/var/cache/x.deb",
		  " install --allow-downgrades /var/cache/x.deb\n" },
		{ PACKAGE_DEB, true, "/var/cache/x.deb",
		  " install --allow-downgrades --reinstall /var/cache/x.deb\n" },
		{ PACKAGE_RPM, false, "/var/cache/x.rpm",
		  "/usr/bin/dnf -y --setopt=exit_on_lock=True --setopt=install_weak_deps=False install "
		  "/var/cache/x.rpm\n" },
		{ PACKAGE_RPM, true, "/var/cache/x.rpm",
		  "/usr/bin/dnf -y --setopt=exit_on_lock=True --setopt=install_weak_deps=False reinstall "
		  "/var/cache/x.rpm\n" },
	};

	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_write(sysroot, "/usr/bin/dnf", "");
	assert_int_equal(fchmodat(sysroot->root.fd, "usr/bin/dnf", 0755, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer good[] = { { .match = cases[i].command },
						      { 0 } };
		const struct script_answer bad[] = {
			{ .match = cases[i].command,
			  .status = 1,
			  .output = "E: Sub-process dkms returned an error\n" },
			{ .match = " update\n" },
			{ .match = " makecache " },
			{ 0 },
		};
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, good, NULL);
		assert_int_equal(install_package(&script.runner, &sysroot->root,
						 &(struct install_package){
							 .kind = cases[i].kind,
							 .path = cases[i].path,
							 .again = cases[i].again },
						 &err),
				 0);
		script_init(&script, bad, NULL);
		assert_int_equal(install_package(&script.runner, &sysroot->root,
						 &(struct install_package){
							 .kind = cases[i].kind,
							 .path = cases[i].path,
							 .again = cases[i].again },
						 &err),
				 -1);
		assert_int_equal(err.code, ERROR_INSTALL);
		assert_non_null(strstr(err.text, "Sub-process dkms"));
	}
}

static void a_run_is_no_package_of_the_system(void **state)
{
	static const struct script_answer answers[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, NULL);

	assert_int_equal(install_package(&script.runner, &sysroot->root,
					 &(struct install_package){ .kind = PACKAGE_RUN,
								    .path = "/x.run" },
					 &err),
			 -1);
}

static void room_is_asked_below_usr_and_modules(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	free_bytes = 1000;

	assert_int_equal(install_check_room(&sysroot->root, 1000, &err), 0);
	assert_int_equal(install_check_room(&sysroot->root, 1001, &err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.text, "/usr"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_missing_unit_is_provided_and_enabled_once),
		TEST(a_unit_of_others_stays),
		TEST(packages_go_through_their_manager),
		TEST(a_run_is_no_package_of_the_system),
		TEST(room_is_asked_below_usr_and_modules),
	};

	return cmocka_run_group_tests_name("install", tests, NULL, NULL);
}
