/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/version.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_BRANCH 560

#define COMPONENTS_MIN 2
#define COMPONENTS_MAX VERSION_PARTS
#define DIGITS_MAX 6

static const struct branch {
	int number;
	bool lts; /* long-term support */
} branches[] = {
	{ 470, true },  { 510, false }, { 525, false }, { 535, true },
	{ 550, false }, { 570, false }, { 580, true },  { 595, false },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool version_valid(struct span text)
{
	size_t components = 1, digits = 0;

	if (text.len >= VERSION_MAX)
		return false;

	for (size_t i = 0; i < text.len; i++) {
		if (is_digit(text.at[i])) {
			digits++;
		} else if (text.at[i] == '.' && digits > 0) {
			components++;
			digits = 0;
		} else {
			return false;
		}
		if (digits > DIGITS_MAX)
			return false;
	}

	return digits > 0 && components >= COMPONENTS_MIN && components <= COMPONENTS_MAX;
}

/* The next component; -1 at the end. */
static long next_component(const char **rest)
{
	char *end;
	long number;

	if (!is_digit(**rest))
		return -1;

	number = strtol(*rest, &end, 10);
	*rest = *end == '.' ? end + 1 : end;
	return number;
}

int version_compare(const char *a, const char *b)
{
	long of_a, of_b;

	do {
		of_a = next_component(&a);
		of_b = next_component(&b);
		if (of_a != of_b)
			return of_a < of_b ? -1 : 1;
	} while (of_a >= 0);

	return 0;
}

static long part_of(const char *version, unsigned part)
{
	long number = 0;

	for (unsigned i = 0; i <= part; i++)
		number = next_component(&version);
	return number < 0 ? 0 : number;
}

long version_distance(const char *a, const char *b, unsigned part)
{
	if (!version_valid(span_of(a)) || !version_valid(span_of(b)))
		return LONG_MAX;
	return labs(part_of(a, part) - part_of(b, part));
}

int version_branch(const char *version)
{
	if (!version_valid(span_of(version)))
		return 0;

	return (int)next_component(&version);
}

bool version_takes_open(const char *version)
{
	return version_branch(version) >= OPEN_BRANCH;
}

int version_branch_index(int branch)
{
	for (size_t i = 0; i < ARRAY_SIZE(branches); i++) {
		if (branches[i].number == branch)
			return (int)i;
	}

	return -1;
}

int version_branch_previous(int branch)
{
	int index = version_branch_index(branch);

	return index > 0 ? branches[index - 1].number : 0;
}

int version_branch_previous_lts(int branch)
{
	int index = version_branch_index(branch);

	if (index < 0 || !branches[index].lts)
		return 0;

	while (index > 0) {
		if (branches[--index].lts)
			return branches[index].number;
	}

	return 0;
}
