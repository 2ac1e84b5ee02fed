/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The build's own program: writes man pages and shell completions from the command table,
 * the option table and the settings table, so that none of them is written twice.
 */

#include <stdio.h>

#include "base/error.h"
#include "base/span.h"

/*
 * A page from its template: a line "@NAME@" of it is replaced by the list of that name.
 * `conf` is the text of agent.conf, whose comments explain the keys.
 */
must_check int page_write(FILE *out, struct span template, struct span conf,
			  struct error *err);

void complete_bash(FILE *out);
void complete_zsh(FILE *out);
void complete_fish(FILE *out);
