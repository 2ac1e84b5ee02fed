/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a package manager's output means: apt-get, dnf, dnf5, yum, zypper, tdnf. Commands
 * run with LC_ALL=C, so the words are these. A word that is not known here is passed on.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Somebody else installs packages: the same command may succeed later. */
bool manager_words_locked(const char *output);

/*
 * The first complaint, and the lines that its heading announces: of a conflict they hold
 * the names. "" where there is none.
 */
void manager_words_complaint(struct span output, char *ret_text, size_t size);

/*
 * What a script of a package said last before it failed, and how it failed. rpm's
 * managers end well all the same. "" where no script failed.
 */
void manager_words_script(struct span output, char *ret_text, size_t size);

/* What to do where it is the system's package management that fails; NULL: not known. */
const char *manager_words_hint(const char *output);
