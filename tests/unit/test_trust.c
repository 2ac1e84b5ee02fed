/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

#define FILE_PATH "/etc/file"

static void owner_and_mode_decide(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner; /* 0: ours */
		enum trust trust;
		const char *says; /* NULL: trusted */
	} rows[] = {
		{ 0644, 0, TRUST_PUBLIC, NULL },
		{ 0600, 0, TRUST_SECRET, NULL },
		{ 0400, 0, TRUST_SECRET, NULL },
		{ 0744, 0, TRUST_PUBLIC, NULL },
		{ 0664, 0, TRUST_PUBLIC, "others may write it" },
		{ 0646, 0, TRUST_PUBLIC, "others may write it" },
		{ 0640, 0, TRUST_SECRET, "others may read it" },
		{ 0604, 0, TRUST_SECRET, "others may read it" },
		{ 0620, 0, TRUST_SECRET, "others may read it" },
		{ 0644, 65534, TRUST_PUBLIC, "belongs to user 65534" },
		{ 0600, 65534, TRUST_SECRET, "belongs to user 65534" },
	};
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/etc");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		cleanup_fd int fd = -1;

		if (rows[i].owner && geteuid() != 0)
			continue;
		sysroot_write(sysroot, FILE_PATH, "x");
		assert_int_equal(
			fchmodat(sysroot->root.fd, &FILE_PATH[1], rows[i].mode, 0), 0);
		if (rows[i].owner)
			assert_int_equal(fchownat(sysroot->root.fd, &FILE_PATH[1],
						  rows[i].owner, (gid_t)-1, 0),
					 0);

		if (trust_open(&sysroot->root, FILE_PATH, rows[i].trust, &fd, &err) ==
		    (rows[i].says ? 0 : -1))
			fail_msg("row %zu: \"%s\"", i, err.text);
		if (rows[i].says) {
			assert_int_equal(err.code, ERROR_USAGE);
			assert_non_null(strstr(err.text, rows[i].says));
			assert_string_not_equal(err.hint, "");
			assert_int_equal(fd, -1);
		}
		assert_int_equal(unlinkat(sysroot->root.fd, &FILE_PATH[1], 0), 0);
	}
}

static void what_is_no_file_is_not_trusted(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char path[128];
	int fd = -1;

	sysroot_mkdir(sysroot, "/etc");
	(void)snprintf(path, sizeof(path), "%s/etc/fifo", sysroot->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(trust_open(&sysroot->root, "/etc/fifo", TRUST_PUBLIC, &fd, &err),
			 -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_int_equal(trust_open(&sysroot->root, "/etc/none", TRUST_PUBLIC, &fd, &err),
			 -1);
	assert_int_equal(err.errnum, ENOENT);
	assert_int_equal(fd, -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(owner_and_mode_decide),
		TEST(what_is_no_file_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
