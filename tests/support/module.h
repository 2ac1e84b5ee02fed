/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file of a kernel module that holds nothing but what libkmod reads of it.
 */

#include <stddef.h>
#include <stdint.h>

#include "support/sysroot.h"

struct module_version {
	const char *symbol;
	uint32_t crc;
};

struct module {
	const char *vermagic, *version, *signer; /* NULL: without it */
	const struct module_version *versions;   /* a symbol NULL ends them; NULL: none */
};

void module_write(const struct sysroot *sysroot, const char *path,
		  const struct module *module);
