/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * OpenSSL's own tool, by which tests make keys, certificates and signatures that the
 * project's code has no part in.
 */

#include <stddef.h>

#include "base/span.h"

/* "openssl ARGUMENTS", a shell's words, in the folder; fails the test where it fails. */
void openssl_do(const char *folder, const char *arguments);

/* A file of the folder; the caller frees it. */
char *openssl_read(const char *folder, const char *name, size_t *ret_size);
