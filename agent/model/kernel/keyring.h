/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The certificates that a kernel trusts, as /proc/keys lists them: those compiled in,
 * shim's MOKs, the firmware's db. The list does not say which keyring holds a key, but
 * only the kernel's own keys are outside of every user's quota.
 */

#include <stdbool.h>

#include "base/span.h"

/* Whether any such key is listed: who is not root sees none. */
bool keyring_is_shown(struct span keys);

/*
 * Whether a key of this id (hexadecimal, lower case) is listed. The name before the id is
 * made for people, and the summary behind it has only its end.
 */
bool keyring_has(struct span keys, const char *key_id);
