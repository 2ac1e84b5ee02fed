/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How families of distributions call what a kernel module is built with. All of it is one
 * table in family.c, a line a family: a distribution that is not there yet is a new line.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/driver/package.h"
#include "model/kernel/kernel.h"

/*
 * The patterns hold %K, the kernel's release; %V, the release without its flavour; %F,
 * the flavour ("default"); %M, major and minor ("6.12"); %N, the compiler's major
 * version. Names that are tried one after the other are separated by "|".
 */
struct family {
	const char *ids;      /* ID or a word of ID_LIKE in os-release, blank-separated */
	const char *release;  /* kernels whose release holds this alone; "": any */
	const char *manager;  /* the program that is asked where several are there */
	const char *headers;  /* packages with exactly this kernel's headers */
	const char *beside;   /* is installed with the headers; "": nothing */
	const char *compiler; /* gcc of that version */
	const char *clang;    /* likewise */
	const char *lld;
	const char *libc;
};

/* By ID, then by the words of ID_LIKE; NULL: a family that is not in the table. */
const struct family *family_find(const struct os *os, const char *release);

/* The first family that is served by this package manager, for a system without a line.
 */
const struct family *family_of_manager(const char *manager);

/* .deb or .rpm; PACKAGE_NONE where the family is not known. */
enum package_kind family_package_kind(const struct os *os);

/*
 * Alternative `index` of a pattern with its values put in. False where there is no such
 * alternative, or where it asks for what is not known of this kernel (then
 * `ret_unknown`).
 */
bool family_expand(const char *pattern, size_t index, const struct kernel *kernel,
		   char *ret_name, size_t size);
size_t family_alternatives(const char *pattern);

/*
 * The headers' package by the kernel's own one, as rpm names that: "kernel-uek-core
 * 5.15.0-307.el8uek" gives "kernel-uek-devel-5.15.0-307.el8uek". False for any other
 * text.
 */
bool family_headers_of(struct span answer, char *ret_name, size_t size);

/* What programs are called that may be gcc of version %N, the last one without it. */
#define FAMILY_GCC                                                  \
	"gcc-%N|gcc%N-gcc|/opt/rh/gcc-toolset-%N/root/usr/bin/gcc|" \
	"/opt/rh/devtoolset-%N/root/usr/bin/gcc|gcc"
#define FAMILY_CLANG "clang-%N|clang"
