/* wrap: setgroups setresuid setresgid setrlimit setrlimit64 setsid close_range unshare */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/*
 * What a worker in the shape of a script says of itself: one word, or a few. Its request
 * has this key, too.
 */
static void ask(const struct sysroot *sysroot, const char *key, const char *script,
		char *ret_said, size_t size)
{
	cleanup_json struct json *request =
		json_build("{s:s, s:s}", "job", "try", key, "http://192.0.2.1/");
	cleanup_json struct json *result = NULL;
	char text[1024], path[96];
	struct channel channel = {
		.worker = path, .net = path, .silence_s = 20, .cancel_fd = -1
	};
	struct error err = ERROR_INIT;

	(void)snprintf(
		text, sizeof(text),
		"#!/bin/sh\nread request <&3\n"
		"printf '{\"error\":{\"message\":\"%%s \"}}\\n' \"$(echo `%s`)\" >&3\n",
		script);
	sysroot_write(sysroot, "/worker", text);
	(void)snprintf(path, sizeof(path), "%s/worker", sysroot->dir);
	assert_int_equal(chmod(path, 0755), 0);

	/* An answer must have the shape of its job's; an error has words. */
	assert_int_equal(channel_call(&channel, request, NULL, 0, &result, &err), -1);
	assert_true(strlen(err.text) > 0 && err.text[strlen(err.text) - 1] == ' ');
	err.text[strlen(err.text) - 1] = '\0';
	(void)snprintf(ret_said, size, "%s", err.text);
}

#define PATH_SET "PATH=/usr/bin:/bin; "

static void a_worker_has_lost_what_it_does_not_need(void **state)
{
	static const struct {
		const char *script, *said;
	} cases[] = {
		{ "grep NoNewPrivs /proc/self/status", "NoNewPrivs: 1" },
		{ "grep CapEff /proc/self/status", "CapEff: 0000000000000000" },
		{ "grep CapPrm /proc/self/status", "CapPrm: 0000000000000000" },
		{ "grep CapInh /proc/self/status", "CapInh: 0000000000000000" },
		{ "grep CapAmb /proc/self/status", "CapAmb: 0000000000000000" },
		{ "pwd", "/" },
		{ "umask", "0077" },
		{ "ulimit -H -c", "0" },
		{ "ulimit -H -n", "64" },
		{ "ulimit -H -f", "2048" }, /* of 512 bytes */
		{ "ulimit -H -t", "7200" },
#ifndef VGPU_INSTRUMENTED
		{ "ulimit -H -v", "1048576" },
		{ "readlink /proc/$$/fd/2", "/dev/null" },
#endif
		{ "readlink /proc/$$/fd/0", "/dev/null" },
		{ "ps -o sid= -p $$ | tr -d ' ' | grep -qx $$ && echo own", "own" },
		{ "tr '\\\\0' '\\\\n' </proc/$$/environ | grep -c ^PATH=", "0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char script[256], said[256];

		(void)snprintf(script, sizeof(script), PATH_SET "%s", cases[i].script);
		ask(*state, "input", script, said, sizeof(said));
		if (strcmp(said, cases[i].said) != 0)
			fail_msg("%s: %s", cases[i].script, said);
	}
}

static void roots_worker_is_another_user_without_a_way_back(void **state)
{
	struct confine confine;
	char said[256], expected[64];

	if (geteuid() != 0)
		skip();
	(void)confine_begin(&confine);
	assert_int_not_equal(confine.uid, 0);
	assert_int_not_equal(confine.gid, 0);

	ask(*state, "input", PATH_SET "grep -E '^(Uid|Gid|Groups):' /proc/self/status",
	    said, sizeof(said));
	(void)snprintf(expected, sizeof(expected), "Uid: %u %u %u %u Gid: %u %u %u %u",
		       confine.uid, confine.uid, confine.uid, confine.uid, confine.gid,
		       confine.gid, confine.gid, confine.gid);
	assert_true(strncmp(said, expected, strlen(expected)) == 0);
	assert_string_equal(said + strlen(expected), " Groups:");

	ask(*state, "input", PATH_SET "grep CapBnd /proc/self/status", said,
	    sizeof(said));
	assert_string_equal(said, "CapBnd: 0000000000000000");
}

/*
 * Of whoever answers: without a network not even the loopback is up. The net worker
 * beside a job that leads to a server is in test_channel_parts.c.
 */
static void only_a_job_without_a_verdict_has_a_network(void **state)
{
	static const char *const keys[] = { "servers", "url", "repository", "service",
					    "input" };
	char ours[64] = "", said[256];
	ssize_t n = readlink("/proc/self/ns/net", ours, sizeof(ours) - 1);

	if (geteuid() != 0)
		skip();
	assert_true(n > 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		ask(*state, keys[i], PATH_SET "readlink /proc/self/ns/net", said,
		    sizeof(said));
		if ((strcmp(said, ours) == 0) != (i == 0))
			fail_msg("%s: %s", keys[i], said);
	}
}

/* One that another library left open without O_CLOEXEC, with a high number. */
static void no_descriptor_of_ours_arrives(void **state)
{
	int leak = open("/dev/zero", O_RDONLY); // NOLINT(android-cloexec-open)
	char said[256];

	assert_true(leak >= 0);
	assert_int_equal(dup2(leak, 200), 200);

	ask(*state, "input", PATH_SET "ls -l /proc/$$/fd | grep -c zero", said,
	    sizeof(said));

	assert_string_equal(said, "0");
	(void)close(leak);
	(void)close(200);
}

static void what_a_worker_may_write_is_what_the_job_may_write(void **state)
{
	cleanup_json struct json *request = json_build(
		"{s:s, s:i, s:I}", "job", "fetch", "output", 4, "max_size", (int64_t)1);
	cleanup_json struct json *result = NULL;
	char path[96];
	struct channel channel = { .worker = path, .silence_s = 20, .cancel_fd = -1 };
	struct error err = ERROR_INIT;
	const struct sysroot *sysroot = *state;
	struct stat st;
	int fd;

	sysroot_write(sysroot, "/worker",
		      "#!/bin/sh\nPATH=/usr/bin:/bin\nread request <&3\n"
		      "dd if=/dev/zero bs=65536 count=99 >&4 2>/dev/null\n"
		      "echo '{\"error\":{}}' >&3\n");
	(void)snprintf(path, sizeof(path), "%s/worker", sysroot->dir);
	assert_int_equal(chmod(path, 0755), 0);
	sysroot_write(sysroot, "/out", "");
	fd = root_open_at(&sysroot->root, "/out", O_RDWR, 0, &err);
	assert_true(fd >= 0);

	assert_int_equal(channel_call(&channel, request, &fd, 1, &result, &err), -1);

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, (1 << 20) + 1);
	(void)close(fd);
}

/* Each call that must work, and the one that is broken now. */
static const char *broken;

#define WRAP(name, parameters, arguments)                   \
	int __real_##name parameters;                       \
	int __wrap_##name parameters;                       \
	int __wrap_##name parameters                        \
	{                                                   \
		if (broken && strcmp(broken, #name) == 0) { \
			errno = EPERM;                      \
			return -1;                          \
		}                                           \
		return __real_##name arguments;             \
	}

WRAP(setgroups, (size_t count, const gid_t *groups), (count, groups))
WRAP(setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
WRAP(setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
WRAP(setrlimit, (__rlimit_resource_t resource, const struct rlimit *limit),
     (resource, limit))
int __real_setrlimit64(__rlimit_resource_t resource, const struct rlimit *limit);
int __wrap_setrlimit64(__rlimit_resource_t resource, const struct rlimit *limit);
int __wrap_setrlimit64(__rlimit_resource_t resource, const struct rlimit *limit)
{
	return __wrap_setrlimit(resource, limit);
}
WRAP(setsid, (void), ())
WRAP(close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
WRAP(unshare, (int flags), (flags))

/* Root that cannot lose a thing (a container, a unit) starts no worker at all. */
static void a_worker_that_would_keep_something_is_not_started(void **state)
{
	static const char *const calls[] = { "setgroups", "setresuid", "setresgid",
					     "setrlimit", "setsid",    "close_range" };
	const struct sysroot *sysroot = *state;
	cleanup_json struct json *request = json_build("{s:s}", "job", "copy");
	char path[96];
	struct channel channel = { .worker = path, .silence_s = 20, .cancel_fd = -1 };

	if (geteuid() != 0)
		skip();
	sysroot_write(sysroot, "/worker", "#!/bin/sh\n: >${0%/*}/ran\n");
	(void)snprintf(path, sizeof(path), "%s/worker", sysroot->dir);
	assert_int_equal(chmod(path, 0755), 0);

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		cleanup_json struct json *result = NULL;
		struct error err = ERROR_INIT;
		struct stat st;

		broken = calls[i];
		assert_int_equal(channel_call(&channel, request, NULL, 0, &result, &err),
				 -1);
		broken = NULL;
		if (root_stat(&sysroot->root, "/ran", &st))
			fail_msg("%s: it ran", calls[i]);
		if (!strstr(err.text, "starting ") || !strstr(err.hint, "CAP_SETUID"))
			fail_msg("%s: %s (%s)", calls[i], err.text, err.hint);
		assert_int_equal(err.code, ERROR_PERMISSION);
	}
}

/* A container grants none: the worker is told, and works. */
static void a_network_namespace_that_is_refused_is_only_told(void **state)
{
	char said[256];

	if (geteuid() != 0)
		skip();
	broken = "unshare";
	ask(*state, "copy", PATH_SET "echo $1", said, sizeof(said));
	broken = NULL;
	assert_string_equal(said, "0");

	ask(*state, "copy", PATH_SET "echo $1", said, sizeof(said));
	assert_string_equal(said, "1");
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(a_worker_has_lost_what_it_does_not_need),
		sysroot_test(roots_worker_is_another_user_without_a_way_back),
		sysroot_test(only_a_job_without_a_verdict_has_a_network),
		sysroot_test(no_descriptor_of_ours_arrives),
		sysroot_test(what_a_worker_may_write_is_what_the_job_may_write),
		sysroot_test(a_worker_that_would_keep_something_is_not_started),
		sysroot_test(a_network_namespace_that_is_refused_is_only_told),
	};

	return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
