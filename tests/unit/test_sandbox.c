/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sandbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/channel.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/*
 * What is tried from the worker's place (tests/fake/trial.c), and from which job. This
 * file is built twice: with VGPU_BARE neither the child nor the trial has its layers, and
 * all of it must succeed for root.
 */
#define ONLINE 1u
#define OFFLINE 2u
#define BOTH (ONLINE | OFFLINE)

static const struct trial {
	const char *name;
	unsigned jobs;
	bool outer;   /* refused by base/confine.h alone, where root */
	int landlock; /* refused only with that ABI, for a plain user, too */
} trials[] = {
	{ "shadow", BOTH, true, 1 },
	{ "passwd", BOTH, true, 1 },
	{ "create", BOTH, false, 1 },
	{ "read_library", OFFLINE, false, 0 },
	{ "read_users_file", BOTH, false, 1 },
	{ "home", BOTH, true, 1 },
	{ "parents_memory", BOTH, true, 1 },
	{ "parents_environment", BOTH, true, 1 },
	{ "trace", BOTH, true, 0 },
	{ "vm_read", BOTH, true, 0 },
	{ "send_signal", BOTH, true, 0 },
	{ "exec", BOTH, false, 0 },
	{ "fork", BOTH, false, 0 },
	{ "unshare", BOTH, true, 0 },
	{ "mount", BOTH, true, 0 },
	{ "new_mount", BOTH, true, 0 },
	{ "bpf", BOTH, true, 0 },
	{ "uring", BOTH, false, 0 },
	{ "keys", BOTH, false, 0 },
	{ "memory_file", BOTH, false, 0 },
	{ "change_mode", BOTH, true, 0 },
	{ "rename", BOTH, false, 0 },
	{ "packets", BOTH, true, 0 },
	{ "raw", BOTH, true, 0 },
	{ "inet", OFFLINE, false, 0 },
	{ "listen", BOTH, false, 0 },
	{ "connect_elsewhere", ONLINE, false, 4 },
	{ "connect_abstract", ONLINE, false, 6 },
	{ "written_code", BOTH, false, 0 },
	{ "later_code", BOTH, false, 0 },
	{ "anonymous_code", BOTH, false, 0 },
	{ "become_root", BOTH, true, 0 },
	{ "dump", BOTH, false, 0 },
	{ "outlive", BOTH, false, 0 },
	{ "raise_limit", BOTH, false, 0 },
};

struct scene {
	const struct sysroot *sysroot;
	int port_fd, abstract_fd;
	int port;
	char abstract[32];
};

static void scene_begin(struct scene *scene, const struct sysroot *sysroot)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);

	*scene = (struct scene){ .sysroot = sysroot };
	sysroot_mkdir(sysroot, "/folder");
	scene->port_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(scene->port_fd, (const struct sockaddr *)&address, size),
			 0);
	assert_int_equal(listen(scene->port_fd, 9), 0);
	assert_int_equal(getsockname(scene->port_fd, (struct sockaddr *)&address, &size),
			 0);
	scene->port = ntohs(address.sin_port);

	(void)snprintf(scene->abstract, sizeof(scene->abstract), "vgpu-trial-%d",
		       (int)getpid());
	(void)snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "%s",
		       scene->abstract);
	scene->abstract_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(scene->abstract));
	assert_int_equal(bind(scene->abstract_fd, (const struct sockaddr *)&name, size),
			 0);
	assert_int_equal(listen(scene->abstract_fd, 9), 0);
}

static void scene_end(const struct scene *scene)
{
	(void)close(scene->port_fd);
	(void)close(scene->abstract_fd);
}

enum outcome { REFUSED, DONE, UNKNOWN_HERE };

/* Done is also a program that took the place of the trial and ended well. */
static enum outcome call(const struct scene *scene, const char *name, bool online,
			 int *ret_landlock, char *ret_how, size_t size)
{
	const struct channel channel = {
		.worker = TRIAL, .net = TRIAL, .silence_s = 30, .cancel_fd = -1
	};
	cleanup_json struct json *request = json_build(
		"{s:s, s:s, s:s, s:i, s:s, s:o*}", "job", online ? "probe" : "copy",
		"trial", name, "folder", scene->sysroot->dir, "port", scene->port,
		"abstract", scene->abstract, "servers", online ? json_build("[]") : NULL);
	cleanup_json struct json *result = NULL;
	struct error err = ERROR_INIT;
	int done, errnum;

	sysroot_write(scene->sysroot, "/file", "secret");
	assert_int_equal(channel_call(&channel, request, NULL, 0, &result, &err), -1);
	(void)snprintf(ret_how, size, "%s", err.text);
	if (strstr(err.text, "ended with exit status 0 without"))
		return DONE;
	if (strstr(err.text, "was killed by signal 31"))
		return REFUSED;
	if (sscanf(err.text, "done %d errno %d landlock %d", &done, &errnum,
		   ret_landlock) != 3)
		fail_msg("%s: %s", name, err.text);
	(void)snprintf(ret_how, size, "%s", strerror(errnum));
	if (errnum == ENOSYS)
		return UNKNOWN_HERE; /* or so the filter says */
	return done ? DONE : REFUSED;
}

static int landlock_here(const struct scene *scene)
{
	char how[256];
	int landlock = -1;

	(void)call(scene, "read_library", true, &landlock, how, sizeof(how));
	assert_true(landlock >= 0);
	return landlock;
}

/* Whether this build, as this user, on this kernel, has what refuses it. */
static bool must_be_refused(const struct trial *trial, int landlock)
{
	bool outer = trial->outer && geteuid() == 0;

	if (trial->landlock > landlock && !outer)
		return false;
#ifdef VGPU_INSTRUMENTED
	return outer;
#endif
	return true;
}

static void what_no_worker_needs_is_refused_to_it(void **state)
{
	struct scene scene;
	int landlock, ignored;

	scene_begin(&scene, *state);
	landlock = landlock_here(&scene);
	for (size_t i = 0; i < ARRAY_SIZE(trials) * 2; i++) {
		const struct trial *trial = &trials[i / 2];
		bool online = i % 2 == 0;
		char how[256] = "";
		enum outcome outcome;

		if (!(trial->jobs & (online ? ONLINE : OFFLINE)))
			continue;
		outcome = call(&scene, trial->name, online, &ignored, how, sizeof(how));
#ifdef VGPU_BARE
		if (geteuid() == 0 && outcome == REFUSED)
			fail_msg("%s cannot be done anyway: %s", trial->name, how);
		if (outcome == UNKNOWN_HERE)
			print_message("%s: not in this kernel\n", trial->name);
#else
		if (must_be_refused(trial, landlock) && outcome == DONE)
			fail_msg("%s, %s: done (%s)", trial->name,
				 online ? "online" : "offline", how);
#endif
	}
	(void)must_be_refused;
	(void)landlock;
	scene_end(&scene);
}

/* The list above says nothing of a sandbox in which nothing can be done. */
static void what_a_worker_needs_is_granted_to_it(void **state)
{
	static const char *const needs[] = { "read_library", "inet" };
	struct scene scene;
	int landlock;

	scene_begin(&scene, *state);
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		char how[256];

		if (call(&scene, needs[i], true, &landlock, how, sizeof(how)) != DONE)
			fail_msg("%s: %s", needs[i], how);
	}
	scene_end(&scene);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(what_no_worker_needs_is_refused_to_it),
		sysroot_test(what_a_worker_needs_is_granted_to_it),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
