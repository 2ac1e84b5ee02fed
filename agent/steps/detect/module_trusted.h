/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether the running kernel would take a module that a certificate's key has signed: the
 * one place that asks.
 */

#include "steps/detect/module_enforced.h"

/*
 * By the key id alone (worker/certificate.h), against /proc/keys. MODULE_UNKNOWN where
 * the list cannot be read, or shows no key of the kernel's, as to who is not root.
 */
enum module_answer module_trusted(const struct root *root, const char *key_id);
