/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * File systems that are full. A test that uses it begins with
 * "wrap: fstatvfs fstatvfs64".
 */

#include <stdbool.h>

extern bool full_now; /* all of them; else none is */
