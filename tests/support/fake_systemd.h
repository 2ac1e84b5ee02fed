/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A systemd that answers one connection after the other over a private socket, in a
 * thread: what steps/license/gridd.c asks of it, and no more. DBUS_SYSTEM_BUS_ADDRESS
 * points to it.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fake_systemd {
	/* What it answers; set before fake_systemd_start(). */
	const char *load, *file, *active, *sub; /* properties of the unit */
	uint64_t started;
	const char *job;          /* how the restart's job ends; NULL: never */
	bool ends_before_answer;  /* the job's end is told before the call's answer */
	const char *result;       /* of the service */
	const char *refuse;       /* a method that is refused ... */
	const char *refuse_error; /* ... with this error */

	char calls[256]; /* the manager's methods, in order; read after the stop */

	/* Its own. */
	char dir[64];
	int listener;
	pthread_t thread;
};

#define FAKE_SYSTEMD_INIT                                    \
	((struct fake_systemd){ .load = "loaded",            \
				.file = "enabled",           \
				.active = "active",          \
				.sub = "running",            \
				.started = 1795382600000000, \
				.job = "done",               \
				.result = "success" })

void fake_systemd_start(struct fake_systemd *fake);
void fake_systemd_stop(struct fake_systemd *fake); /* after its last client has gone */
