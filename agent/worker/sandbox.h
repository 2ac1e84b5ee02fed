/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a worker gives up itself, before it sees the first foreign byte: the files of the
 * system (Landlock) and the calls of the kernel (seccomp) that its job does not need.
 * It comes on top of base/confine.h, which the agent's child does before this program.
 *
 * The request is read first, because it is the agent's word and says which job it is; no
 * job has run yet. There is no switch: an instrumented build (VGPU_INSTRUMENTED) and the
 * counter-test (VGPU_BARE) are compiled without it, and no package is either.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

/* What holds this process. */
struct sandbox_layers {
	int landlock; /* the ABI of the kernel; 0: it has none */
	bool filter;
	bool own_network; /* base/confine.h made one, with nothing in it */
	bool own_mounts;  /* base/confine_mounts.h, where there is no Landlock */
};

/*
 * `online`: with a network, for the URLs and ports of `request`; else without, and also
 * without opening files. A kernel without Landlock is no error, one without seccomp is.
 * `told` is what the agent's child has told in the argument of the program, or NULL.
 */
must_check int sandbox_enter(bool online, const struct json *request, const char *told,
			     struct error *err);

/* What sandbox_enter() has put on. */
struct sandbox_layers sandbox_layers(void);

/* Whether this process may connect to that port: any, where the kernel cannot hold us to
 * some. */
bool sandbox_may_connect(unsigned port);
