/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The build's own program: writes man pages and shell completions from the command table,
 * the option table and the settings table, so that none of them is written twice.
 */

#include <stdio.h>

#include "base/error.h"
#include "base/span.h"
#include "model/settings/settings_value.h"

/*
 * A page from its template: a line "@NAME@" of it is replaced by the list of that name.
 * `conf` is the text of agent.conf, whose comments explain the keys.
 */
must_check int page_write(FILE *out, struct span template, struct span conf,
			  struct error *err);

/* The words of the pages, for tables_write(), too. */
struct span page_comment_of(struct span conf, const char *path);
const char *page_type_name(const struct settings_key *key);
const char *page_meaning(enum error_code code);
size_t page_variable_count(void);
const char *page_variable(size_t index, const char **ret_words);

/* All tables as one JSON object, from which scripts/make-docs makes docs/. */
must_check int tables_write(FILE *out, struct span conf, struct error *err);

void complete_bash(FILE *out);
void complete_zsh(FILE *out);
void complete_fish(FILE *out);
