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
#include "support/kernel.h"
#include "support/sysroot.h"

/*
 * What is tried from the worker's place (tests/fake/trial.c), and from which job. This
 * file is built twice: with VGPU_BARE neither the child nor the trial has its layers, and
 * all of it must succeed for root.
 */
#ifdef VGPU_INSTRUMENTED
#	define LAYERED false
#else
#	define LAYERED true
#endif

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
	{ "others_memory", BOTH, true, 1 },
	{ "others_environment", BOTH, true, 1 },
	{ "trace", BOTH, true, 0 },
	{ "vm_read", BOTH, true, 0 },
	{ "send_signal", BOTH, true, 0 },
	{ "own_signal", BOTH, false, 0 },
	{ "take_file", BOTH, true, 0 },
	{ "set_limit", BOTH, true, 0 },
	{ "slow_down", BOTH, true, 0 },
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

/*
 * What is tried on the other worker of the same job, each of the two on the other: both
 * are one user, and that alone refuses nothing.
 */
static const char *const beside[] = {
	"others_memory", "others_environment", "others_files", "trace",     "vm_read",
	"send_signal",   "own_signal",         "take_file",    "set_limit", "slow_down",
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

/* Who tries, and where what is done to a process is not done to the agent, to whom. */
enum who { NET, FETCH, NET_TO_FETCH, FETCH_TO_NET };

static struct json *request_of(const struct scene *scene, const char *name, enum who who)
{
	static const char *const jobs[] = { "probe", "copy", "fetch", "fetch" };

	return json_build("{s:s, s:s, s:s, s:i, s:s, s:b, s:o*, s:s*}", "job", jobs[who],
			  "trial", name, "folder", scene->sysroot->dir, "port",
			  scene->port, "abstract", scene->abstract, "nets",
			  who == NET_TO_FETCH, "servers",
			  who == NET ? json_build("[]") : NULL, "url",
			  who > FETCH ? "https://192.0.2.1/" : NULL);
}

/* Done is also a program that took the place of the trial and ended well. */
static enum outcome call(const struct scene *scene, const char *name, enum who who,
			 int *ret_landlock, char *ret_how, size_t size)
{
	const struct channel channel = {
		.worker = TRIAL_DIR "/" TRIAL,
		.net = TRIAL_DIR "/net-" TRIAL,
		.silence_s = 30,
		.cancel_fd = -1,
	};
	cleanup_json struct json *request = request_of(scene, name, who);
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

	(void)call(scene, "read_library", NET, &landlock, how, sizeof(how));
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

static void judge(const char *name, const char *by, bool refused, enum outcome outcome,
		  const char *how)
{
#ifdef VGPU_BARE
	(void)refused;
	if (geteuid() == 0 && outcome == REFUSED)
		fail_msg("%s, %s: cannot be done anyway: %s", name, by, how);
	if (outcome == UNKNOWN_HERE)
		print_message("%s: not in this kernel\n", name);
#else
	if (refused && outcome == DONE)
		fail_msg("%s, %s: done (%s)", name, by, how);
#endif
}

static void try_alone(const struct scene *scene)
{
	int landlock = landlock_here(scene), ignored;

	for (size_t i = 0; i < ARRAY_SIZE(trials) * 2; i++) {
		const struct trial *trial = &trials[i / 2];
		bool online = i % 2 == 0;
		char how[256] = "";
		enum outcome outcome;

		if (!(trial->jobs & (online ? ONLINE : OFFLINE)))
			continue;
		outcome = call(scene, trial->name, online ? NET : FETCH, &ignored, how,
			       sizeof(how));
		judge(trial->name, online ? "online" : "offline",
		      must_be_refused(trial, landlock), outcome, how);
	}
}

static void try_beside(const struct scene *scene)
{
	int ignored;

	for (size_t i = 0; i < ARRAY_SIZE(beside) * 2; i++) {
		bool nets = i % 2 == 0;
		char how[256] = "";
		enum outcome outcome = call(scene, beside[i / 2],
					    nets ? NET_TO_FETCH : FETCH_TO_NET, &ignored,
					    how, sizeof(how));

		judge(beside[i / 2], nets ? "to the fetch worker" : "to the net worker",
		      LAYERED, outcome, how);
	}
}

static void what_no_worker_needs_is_refused_to_it(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state);
	try_alone(&scene);
	scene_end(&scene);
}

static void neither_worker_has_power_over_the_other(void **state)
{
	struct scene scene;

	scene_begin(&scene, *state);
	try_beside(&scene);
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

		if (call(&scene, needs[i], NET, &landlock, how, sizeof(how)) != DONE)
			fail_msg("%s: %s", needs[i], how);
	}
	scene_end(&scene);
}

/* The last test: this process stays on that kernel. */
static void nor_does_that_hang_on_landlock(void **state)
{
	struct scene scene;

	assert_int_equal(kernel_without_landlock(), 0);
	scene_begin(&scene, *state);
	try_alone(&scene);
	try_beside(&scene);
	scene_end(&scene);
}

#define sysroot_test(f) \
	cmocka_unit_test_setup_teardown(f, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(what_no_worker_needs_is_refused_to_it),
		sysroot_test(neither_worker_has_power_over_the_other),
		sysroot_test(what_a_worker_needs_is_granted_to_it),
		sysroot_test(nor_does_that_hang_on_landlock),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
