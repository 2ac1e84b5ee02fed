/* SPDX-License-Identifier: Apache-2.0 */
#include "base/detached.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/run.h"
#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/* A file system on a loop device of this machine's; it goes with its descriptor. */
struct loop {
	struct sysroot *sysroot;
	int fd; /* -1: this machine gives none */
};

static int setup(void **state)
{
	cleanup(root_close) struct root host = ROOT_INIT;
	cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	cleanup_fd int image = -1;
	char path[128], device[64];
	const char *argv[] = {
		"/usr/sbin/mkfs.ext4", "-q", "-d", NULL, path, "1M", NULL
	};
	const struct run run = { .argv = argv, .timeout_s = 60, .output_limit = 4096 };
	struct loop *loop = calloc(1, sizeof(*loop));
	struct runner runner = run_runner(-1);
	struct error err = ERROR_INIT;
	int number;

	assert_non_null(loop);
	loop->fd = -1;
	assert_int_equal(sysroot_setup((void **)&loop->sysroot), 0);
	*state = loop;
	argv[3] = loop->sysroot->dir;
	(void)text_format(path, sizeof(path), "%s.img", loop->sysroot->dir);
	sysroot_write(loop->sysroot, "/inside", "content");
	if (geteuid() != 0 || control < 0 || root_open("/", &host, &err) < 0 ||
	    run_checked(&runner, &host, &run, &err) < 0)
		return 0;
	image = open(path, O_RDWR | O_CLOEXEC);
	(void)unlink(path);
	number = ioctl(control, LOOP_CTL_GET_FREE);
	(void)text_format(device, sizeof(device), "/dev/loop%d", number);
	loop->fd = image < 0 || number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
	if (loop->fd >= 0 && ioctl(loop->fd, LOOP_SET_FD, image) < 0)
		(void)close(take_fd(loop->fd));
	return 0;
}

static int teardown(void **state)
{
	struct loop *loop = *state;
	int result = sysroot_teardown((void **)&loop->sysroot);

	if (loop->fd >= 0) {
		(void)ioctl(loop->fd, LOOP_CLR_FD);
		(void)close(loop->fd);
	}
	free(loop);
	return result;
}

typedef int way(int device, const char *file_system, int *ret_folder, struct error *err);

static char *read_mounts(void)
{
	cleanup_fd int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	char *text = NULL;
	size_t size;

	assert_int_equal(file_read_fd(fd, 1u << 20, &text, &size, &err), 0);
	return text;
}

/* What any of the two ways promises. */
static void check(way *mount_it, const struct loop *loop)
{
	cleanup_free char *before = read_mounts(), *after = NULL, *text = NULL;
	cleanup_fd int folder = -1;
	struct root tree = ROOT_INIT;
	struct error err = ERROR_INIT;
	struct stat st;
	size_t size;

	if (mount_it(loop->fd, "ext4", &folder, &err) < 0) {
		if (err.errnum == EPERM)
			skip(); /* a container that forbids mounts */
		fail_msg("%s", err.text);
	}
	after = read_mounts();
	assert_string_equal(before, after);
	assert_int_equal(fcntl(folder, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	tree.fd = folder;
	assert_int_equal(file_read(&tree, "/inside", 100, &text, &size, &err), 0);
	assert_string_equal(text, "content");
	assert_true(root_stat(&tree, "/inside", &st));
	assert_true(openat(folder, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
	assert_int_equal(errno, EROFS);
}

static void nobody_else_sees_the_mount(void **state)
{
	const struct loop *loop = *state;

	if (loop->fd < 0)
		skip();
	check(detached_open, loop);
}

static void nor_the_one_in_a_namespace_of_its_own(void **state)
{
	const struct loop *loop = *state;

	if (loop->fd < 0)
		skip();
	check(detached_apart_open, loop);
}

/* A desktop may have mounted it already, for writing. */
static void one_that_is_mounted_for_writing_is_read_all_the_same(void **state)
{
	const struct loop *loop = *state;
	char device[64], source[64];
	struct error err = ERROR_INIT;
	struct stat st;
	bool mounted;

	if (loop->fd < 0)
		skip();
	assert_int_equal(fstat(loop->fd, &st), 0);
	(void)text_format(source, sizeof(source), "/proc/self/fd/%d", loop->fd);
	(void)text_format(device, sizeof(device), "%s/mnt", loop->sysroot->dir);
	assert_int_equal(mkdir(device, 0700), 0);
	mounted = mount(source, device, "ext4", 0, NULL) == 0;
	if (mounted)
		check(detached_open, loop);
	(void)umount2(device, MNT_DETACH);
	assert_true(mounted);
	assert_int_equal(root_unlink(&loop->sysroot->root, "/mnt", &err), 0);
}

static void another_file_system_is_refused(void **state)
{
	static way *const ways[] = { detached_open, detached_apart_open };
	const struct loop *loop = *state;
	int folder = -2;

	if (loop->fd < 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(ways[i](loop->fd, "squashfs", &folder, &err), -1);
		assert_int_equal(folder, -2);
		assert_non_null(strstr(err.text, "mounting it as squashfs: "));
	}
}

/* A way that does not keep its promise shall mount in this test's tree, not in all. */
static int leave_the_tree_of_all(void **state)
{
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return 0;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nobody_else_sees_the_mount),
		TEST(nor_the_one_in_a_namespace_of_its_own),
		TEST(one_that_is_mounted_for_writing_is_read_all_the_same),
		TEST(another_file_system_is_refused),
	};

	return cmocka_run_group_tests(tests, leave_the_tree_of_all, NULL);
}
