/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The rules 2 to 7 of the contract's section 7, each as a question about one candidate.
 */

#include "model/driver/match.h"

struct match_entry {
	const struct package *package; /* of the repository */
	char unusable[96];             /* why no rule may take it; "": usable */
	bool later;                    /* of a later branch than the host's */
	struct known known;            /* on the kernels that are to have it */
	enum catalog_verdict verdict;
	const char *catalog_why; /* static */
};

struct match_work {
	const struct match_input *input;
	size_t count;
	struct match_entry *entries; /* as the repository's packages */
	struct known_list known;     /* what the index says of the kernels */
	int host_branch;             /* 0: not known */
	bool one_version;            /* all usable candidates are of one guest version */
};

must_check int match_rules_prepare(const struct match_input *input,
				   struct match_work *ret_work, struct error *err);
void match_rules_done(struct match_work *work);

/*
 * The first rule that takes a candidate, and its best one; NULL: none does. One that is
 * known not to compile here is taken only by its version, or where there is no other.
 */
const struct match_entry *match_rules_apply(const struct match_work *work,
					    enum match_rule *ret_rule);

/* The highest version that fits the host and is known not to compile; NULL: none. */
const struct match_entry *match_rules_doomed(const struct match_work *work);

/* Why `entry` was not chosen, when `rule` chose `chosen` (MATCH_NONE: nothing was). */
void match_rules_explain(const struct match_work *work, const struct match_entry *entry,
			 enum match_rule rule, const struct match_entry *chosen,
			 char *ret_why, size_t size);
