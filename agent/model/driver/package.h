/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file that holds a Linux guest driver: what its name says (contract, section 7).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "model/driver/version.h"

#define PACKAGE_NAME_MAX 512
#define PACKAGE_SHA256_SIZE 65 /* hex with its NUL */

enum package_kind {
	PACKAGE_NONE, /* no guest driver for Linux */
	PACKAGE_RUN,
	PACKAGE_DEB,
	PACKAGE_RPM,
	PACKAGE_BUNDLE, /* NVIDIA-GRID-<platform>-<versions>.zip */
};

struct package {
	enum package_kind kind;
	char name[PACKAGE_NAME_MAX];    /* relative to the repository */
	char version[VERSION_MAX];      /* the guest's; "" when the name does not tell */
	char host_version[VERSION_MAX]; /* of a bundle; else "" */
	char arch[16];    /* x86_64, aarch64; "" when the name does not tell */
	bool cloud;       /* -grid-aws, -grid-azure: only by driver.url */
	bool host_driver; /* for the hypervisor: never, not even by driver.url */
	uint64_t size;    /* 0: not known */
	char sha256[PACKAGE_SHA256_SIZE]; /* lower case; "": not known */
};

/*
 * Reads the last component of `name`. False, with kind PACKAGE_NONE and in `ret_why` the
 * reason ("a host driver"), when it is none that a rule may choose.
 */
bool package_parse(struct span name, struct package *ret_package, const char **ret_why);

/* By the suffix only: .zip .run .deb .rpm; PACKAGE_NONE for anything else. */
enum package_kind package_kind_of(struct span name);
const char *package_kind_name(enum package_kind kind); /* "run", "bundle", ... */

/* The kind of this name; PACKAGE_NONE for anything else, NULL too. */
enum package_kind package_kind_named(const char *name);

/* 64 hexadecimal digits of either case, made lower case; false for anything else. */
bool package_sha256(struct span hex, char ret_sha256[static PACKAGE_SHA256_SIZE]);
