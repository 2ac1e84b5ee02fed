/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which layers hold the worker on this machine: base/confine.h and worker/sandbox.h.
 */

#include "base/channel.h"

enum layers_state {
	LAYERS_ALL,
	LAYERS_KERNEL, /* the kernel or the container has not all of them: nothing to do
			*/
	LAYERS_USER,   /* the package's user is missing */
	LAYERS_NONE,   /* a build for tests: instrumented, or the counter-test */
};

/*
 * Starts a worker that tells what holds it, and puts that in words: "user
 * vgpu-fetch-worker, no capabilities, ...".
 */
must_check int layers_ask(const struct channel *channel, enum layers_state *ret_state,
			  char *ret_words, size_t size, struct error *err);
