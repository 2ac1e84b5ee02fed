/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the steps toolchain, build and install hand on: the tools that compile kernel
 * modules, and the modules that were compiled.
 */

#include <stddef.h>

struct toolchain {
	char compiler[128]; /* absolute: /usr/bin/gcc-12 */
	char make[128];
	char missing[384]; /* what is not there, in words; "" when complete */
};

#define BUILD_MODULES_MAX 8

struct build_result {
	size_t count;
	char modules[BUILD_MODULES_MAX][256]; /* paths of nvidia.ko, nvidia-uvm.ko, ... */
};
