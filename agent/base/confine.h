/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a worker loses before its program is loaded: our session, our user, every
 * capability, the way back to them, and most of what a process may use up. So not even
 * the constructor of a library runs as root.
 *
 * Where we are root, all of it must work or the worker is not started; only namespaces
 * are left out where the system grants none (a container).
 * A plain user has nothing to give up but the limits and no_new_privs.
 *
 * Two kinds of build leave something out, and no package is either of them: instrumented
 * ones (VGPU_INSTRUMENTED: sanitizers and coverage) do not limit the address space, and
 * the counter-test (VGPU_BARE) loses nothing, to show that its trials can succeed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFINE_USER "vgpu-fetch-worker" /* in sysusers.d of the package */
#define CONFINE_NOBODY 65534             /* where the package's user is missing */

/* What root's worker has where the system grants it. */
enum confine_layer {
	CONFINE_OWN_NETWORK = 1u << 0, /* an empty one, for a job without a network */
	CONFINE_OWN_MOUNTS = 1u << 1,  /* base/confine_mounts.h, in place of Landlock */
};

struct confine {
	pid_t parent; /* with whom the worker ends */
	bool root;    /* give up `uid` and `gid`; else we are a plain user */
	uid_t uid;
	gid_t gid;
	const char *program; /* that the child will become */
	bool online;         /* false: a network namespace with nothing in it */
	unsigned fds;        /* the descriptors that the worker is handed */
	uint64_t file_size;  /* the largest file that it may write, in bytes */
};

/*
 * Fills in who we are and who the worker shall be. The user is looked up in /etc/passwd
 * alone: a name service would be foreign code in root's process. False: it is not there,
 * and root's workers are CONFINE_NOBODY.
 */
bool confine_begin(struct confine *ret_confine);

/*
 * For a child between fork(2) and exec: calls only what is safe there. NULL, or what
 * could not be done, with errno. `ret_layers` tells what is on of enum confine_layer.
 */
const char *confine_enter(const struct confine *confine, unsigned *ret_layers);
