/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernels of a system, and the operating system they belong to.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "base/span.h"
#include "model/driver/package.h"

#define KERNEL_RELEASE_MAX 80
#define KERNEL_MAX 32

struct kernel {
	char release[KERNEL_RELEASE_MAX];
	bool running;
	bool headers;      /* a usable build folder */
	char build[128];   /* "/lib/modules/REL/build" when there are headers */
	char source[128];  /* where Makefile and include/ are: Debian splits them off */
	char compiler[80]; /* CONFIG_CC_VERSION_TEXT, "" when not known */
	bool clang;
	int compiler_major; /* 0 when not known */
};

struct kernel_list {
	size_t count;
	struct kernel kernels[KERNEL_MAX];
};

/* Letters, digits and "._+~-", no "..": it becomes part of paths. */
bool kernel_release_valid(struct span release);
const struct kernel *kernel_find(const struct kernel_list *list, const char *release);
const struct kernel *kernel_running(const struct kernel_list *list);

/* "gcc-12 (Debian 12.2.0-14) 12.2.0" out of a .config or auto.conf; false: not there. */
bool kernel_read_config(struct span config, struct kernel *kernel);

struct json *kernel_list_json(const struct kernel_list *list);

struct os {
	char id[32];         /* os-release ID: "debian" */
	char id_like[64];    /* ID_LIKE, blank-separated */
	char version_id[16]; /* "12" */
	char arch[16];       /* "x86_64" */
};

/* os-release(5): quotes and backslashes as the shell's; unknown keys ignored. */
void kernel_read_os_release(struct span text, struct os *os);
struct json *kernel_os_json(const struct os *os);
