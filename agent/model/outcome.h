/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What one step of the pipeline did, for the report and the state.
 */

#include "base/error.h"

enum outcome_kind {
	OUTCOME_PENDING, /* an earlier step stopped the run */
	OUTCOME_UNCHANGED,
	OUTCOME_CHANGED,
	OUTCOME_SKIPPED, /* does not apply here, for example in an image build */
	OUTCOME_FAILED,
};

struct outcome {
	const char *step; /* a name of the contract, static */
	enum outcome_kind kind;
	char detail[256];  /* "550.90.07 -> 570.133.20" */
	char warning[256]; /* for the user, or "" */
	const char *again; /* the earlier step that is done again; NULL: the next one */
	double began;      /* seconds after the first step began */
	double seconds;
};

const char *outcome_kind_name(enum outcome_kind kind);

/* The step does not apply here, and why: */
void outcome_skip(struct outcome *outcome, const char *why);
/* It looked, and changed something or nothing; `what` in words. */
void outcome_tell(struct outcome *outcome, bool changed, const char *what);
