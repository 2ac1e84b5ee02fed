/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * seccomp: which calls of the kernel this process may make.
 *
 * A filter of our own, not libseccomp's: it is one flat list and eight looks at an
 * argument, made for the one architecture that this program is compiled for. libseccomp
 * would be one more library in every worker, and its list of names is older than the
 * calls that matter.
 *
 * A call that is not in the list fails with ENOSYS, as in an old kernel: a newer libc
 * then takes the older way. Only what no library tries and an attacker does kills.
 */

#include <stdbool.h>

#include "base/error.h"

/* `online`: with sockets, and files may be opened. Every thread made from now on has it.
 */
must_check int filter_enter(bool online, struct error *err);
