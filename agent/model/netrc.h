/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A netrc file holds the passwords of many hosts; who asks one of them needs no other's.
 */

#include <stddef.h>

/*
 * Copies, as they stand, the entries that libcurl takes for `host` (as of struct url): of
 * each "machine" that is it, and "default" where none of them stands before. `buffer` has
 * room for `size` bytes; returns how many it got. Macros are left out.
 */
size_t netrc_of_host(const char *text, size_t size, const char *host, char *buffer);
