/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The signature at the end of a kernel module, as sign-file appends it and the kernel
 * reads it (include/linux/module_signature.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

/*
 * Takes a module apart into what is signed and the last signature's PKCS#7. False where
 * none is appended that the kernel would read.
 */
bool module_signature_find(struct span module, struct span *ret_content,
			   struct span *ret_signature);

/*
 * Whether the key of this certificate (PEM or DER) has signed the module of `size` bytes
 * that the descriptor holds. ERROR_INTEGRITY, "NAME ...", where not.
 */
must_check int module_signature_check(int fd, uint64_t size, const char *name,
				      struct span certificate, struct error *err);
