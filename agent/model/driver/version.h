/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Driver versions: two or three numbers with dots, compared as numbers.
 */

#include <stdbool.h>

#include "base/span.h"

#define VERSION_MAX 32 /* bytes of a version's text with its NUL */

/* Two to four components of 1 to 6 digits: "470.63", "525.105.17". */
bool version_valid(struct span text);

/* <0, 0, >0 by component; a missing component is older: 470.63 < 470.63.01. Both valid.
 */
int version_compare(const char *a, const char *b);

/*
 * How far the component `part` (0: the branch) of two versions is apart, where what is
 * missing is 0. What is no version is farther from everything than any that is one.
 */
#define VERSION_PARTS 4
long version_distance(const char *a, const char *b, unsigned part);

/* The first component: 525. 0 for a text that is no version. */
int version_branch(const char *version);

/* Whether vGPU guests run the open kernel modules from its branch on, unless told. */
bool version_takes_open(const char *version);

/*
 * The production branches of the contract (470, 510, 525, ...): the index of one in
 * age order, or -1. The branch before it; for a long-term-support branch `ret_lts` is
 * the previous one of those. 0 where there is none.
 */
int version_branch_index(int branch);
int version_branch_previous(int branch);
int version_branch_previous_lts(int branch);
