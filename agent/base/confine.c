/* SPDX-License-Identifier: Apache-2.0 */
#include "base/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/confine_mounts.h"
#include "base/macro.h"

#define OWN_FDS 64              /* beside those that it is handed */
#define MEMORY_MAX (1ull << 30) /* bytes of address space */
#define PROCESSES_MAX 256       /* of its user; CONFINE_NOBODY has others, too */
#define CPU_MAX_S 7200          /* gigabytes of TLS on an emulated processor */

bool confine_begin(struct confine *ret_confine)
{
	struct confine confine = {
		.parent = getpid(),
		.root = geteuid() == 0,
		.uid = CONFINE_NOBODY,
		.gid = CONFINE_NOBODY,
	};
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) &&
	       strcmp(entry->pw_name, CONFINE_USER) != 0)
		continue;
	/* An entry that would make the worker root is none. */
	if (entry && entry->pw_uid != 0 && entry->pw_gid != 0) {
		confine.uid = entry->pw_uid;
		confine.gid = entry->pw_gid;
	} else {
		entry = NULL;
	}
	if (file)
		(void)fclose(file);
	*ret_confine = confine;
	return entry != NULL;
}

#ifdef VGPU_BARE

/* A test looks for this in what is packed. */
__attribute__((used)) static const char bare[] = "built without the worker's layers";

const char *confine_enter(const struct confine *confine, unsigned *ret_layers)
{
	(void)confine;
	*ret_layers = 0;
	return setsid() < 0 ? "leaving the session" : NULL;
}

#else

/* Both limits, so that it cannot be raised again; never above what we have ourselves. */
static int limit(__rlimit_resource_t resource, uint64_t value)
{
	struct rlimit had;

	if (getrlimit(resource, &had) < 0)
		return -1;
	if (had.rlim_max == RLIM_INFINITY || had.rlim_max > value)
		had.rlim_max = value;
	had.rlim_cur = had.rlim_max;
	return setrlimit(resource, &had);
}

static int set_limits(const struct confine *confine)
{
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_CPU, CPU_MAX_S) < 0 ||
	    limit(RLIMIT_NOFILE, OWN_FDS + confine->fds) < 0 ||
	    limit(RLIMIT_FSIZE, confine->file_size) < 0)
		return -1;
#	ifndef VGPU_INSTRUMENTED /* a sanitizer's shadow is terabytes */
	if (limit(RLIMIT_AS, MEMORY_MAX) < 0)
		return -1;
#	endif
	/* A plain user's desktop has more processes than that already. */
	return confine->root ? limit(RLIMIT_NPROC, PROCESSES_MAX) : 0;
}

static int drop_bounding_set(void)
{
	int there;

	for (unsigned long cap = 0; (there = prctl(PR_CAPBSET_READ, cap)) >= 0; cap++) {
		if (there && prctl(PR_CAPBSET_DROP, cap) < 0)
			return -1;
	}
	return 0;
}

/* A change of the user empties all sets but the inheritable one. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return (int)syscall(SYS_capset, &header, none);
}

/* Whether the worker will have it: worker/landlock.h, landlock_create_ruleset(2). */
static bool has_landlock(void)
{
	return syscall(444, NULL, 0, 1) > 0;
}

static const char *drop_root(const struct confine *confine)
{
	if (drop_bounding_set() < 0)
		return "emptying the bounding set";
	if (setgroups(0, NULL) < 0 ||
	    setresgid(confine->gid, confine->gid, confine->gid) < 0 ||
	    setresuid(confine->uid, confine->uid, confine->uid) < 0)
		return "becoming another user";
	return NULL;
}

const char *confine_enter(const struct confine *confine, unsigned *ret_layers)
{
	const char *failed = NULL;

	*ret_layers = 0;
	if (setsid() < 0)
		return "leaving the session";
	if (confine->root && !confine->online && unshare(CLONE_NEWNET) == 0)
		*ret_layers |= CONFINE_OWN_NETWORK;
	if (confine->root && !has_landlock() && confine_mounts_hide(confine->program))
		*ret_layers |= CONFINE_OWN_MOUNTS;
	(void)umask(S_IRWXG | S_IRWXO);
	if (chdir("/") < 0)
		return "going to /";
	/* The monitor's unit has limits of its own, and forbids its processes to set any.
	 */
	if (set_limits(confine) < 0 && confine->root)
		return "setting limits";
	if (confine->root)
		failed = drop_root(confine);
	if (failed)
		return failed;
	/* A plain user has none, and the monitor's unit forbids the call. */
	if (drop_capabilities() < 0 && confine->root)
		return "dropping capabilities";

	/* After the change of the user, which takes it back. The parent may have ended
	 * before it was set. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return "binding it to the agent";
	if (getppid() != confine->parent) {
		errno = ESRCH;
		return "looking for the agent";
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? "closing the way back" : NULL;
}

#endif
