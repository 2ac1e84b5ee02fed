/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/answer.h"

#include <string.h>
#include <strings.h>

#include "base/span.h"
#include "base/text.h"

/* "HTTP/1.1 403 Access denied." */
static void read_status(struct answer *answer, struct span line)
{
	struct span version, rest, code, reason;
	uint64_t status;

	*answer = (struct answer){ .status = 0 };
	if (!span_split(line, ' ', &version, &rest))
		return;
	(void)span_split(span_trim(rest), ' ', &code, &reason);
	if (code.len != 3 || !span_to_u64(code, &status) || status < 100)
		return;

	answer->status = (long)status;
	(void)span_copy(span_trim(reason), answer->reason, sizeof(answer->reason));
	text_sanitize(answer->reason);
}

static void read_length(struct answer *answer, struct span value)
{
	uint64_t length;

	if (!span_to_u64(value, &length)) {
		answer->contradicts = true;
		return;
	}
	if (answer->has_length && answer->length != length)
		answer->contradicts = true;
	answer->has_length = true;
	answer->length = length;
}

/*
 * Content-Range "bytes FIRST-LAST/TOTAL"; TOTAL may be "*". False for anything else.
 */
static bool parse_range(struct answer *answer, struct span value)
{
	struct span range, total, first, last;

	if (!span_skip(&value, "bytes ") && !span_skip(&value, "Bytes "))
		return false;
	if (!span_split(span_trim(value), '/', &range, &total))
		return false;

	if (!span_equals(total, "*")) {
		if (!span_to_u64(total, &answer->total))
			return false;
		answer->has_total = true;
	}
	if (span_equals(range, "*"))
		return answer->has_total;

	if (!span_split(range, '-', &first, &last) ||
	    !span_to_u64(first, &answer->first) || !span_to_u64(last, &answer->last) ||
	    answer->first > answer->last)
		return false;
	answer->has_range = true;
	return !answer->has_total || answer->last < answer->total;
}

static void read_range(struct answer *answer, struct span value)
{
	if (answer->has_range || answer->has_total)
		answer->contradicts = true;
	if (!parse_range(answer, value))
		answer->range_bad = true;
}

static void read_location(struct answer *answer, struct span value)
{
	answer->has_location = true;
	if (value.len == 0)
		answer->location_bad = true;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char byte = (unsigned char)value.at[i];

		if (byte < ' ' || byte == 0x7f || byte == '\\')
			answer->location_bad = true;
	}
}

static bool is_name(struct span name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.at, wanted, name.len) == 0;
}

bool answer_line(struct answer *answer, const char *line, size_t size)
{
	struct span text = span_trim((struct span){ line, size });
	struct span name, value;

	if (span_starts(text, "HTTP/")) {
		read_status(answer, text);
		return false;
	}
	if (text.len == 0)
		return answer->status >= 200;
	if (!span_split(text, ':', &name, &value))
		return false;

	value = span_trim(value);
	if (is_name(name, "Content-Length"))
		read_length(answer, value);
	else if (is_name(name, "Content-Range"))
		read_range(answer, value);
	else if (is_name(name, "Content-Encoding"))
		answer->encoded |= value.len > 0 && !is_name(value, "identity");
	else if (is_name(name, "Transfer-Encoding"))
		answer->chunked = true;
	else if (is_name(name, "Location"))
		read_location(answer, value);
	return false;
}

/* Everything that is said about the bytes must agree with what was asked for. */
static enum answer_verdict judge_partial(const struct answer *answer,
					 const struct answer_wish *wish)
{
	uint64_t whole = answer->has_total ? answer->total : wish->total;
	uint64_t end = wish->end ? wish->end : whole;

	if (answer->encoded)
		return ANSWER_ENCODED;
	if (!answer->has_range || answer->range_bad || answer->contradicts ||
	    answer->first != wish->offset)
		return ANSWER_UNFIT;
	if (wish->total && (!answer->has_total || answer->total != wish->total))
		return ANSWER_UNFIT;
	if (end && answer->last != end - 1)
		return ANSWER_UNFIT;
	if (answer->has_length && answer->length != answer->last - answer->first + 1)
		return ANSWER_UNFIT;

	return ANSWER_TAKE;
}

static enum answer_verdict judge_whole(const struct answer *answer,
				       const struct answer_wish *wish)
{
	if (wish->end)
		return ANSWER_UNFIT; /* nobody wants all of it */
	if (answer->encoded)
		return ANSWER_ENCODED;
	if (answer->contradicts || (wish->total && answer->has_length &&
				    !answer->chunked && answer->length != wish->total))
		return ANSWER_WRONG_SIZE;

	return wish->offset ? ANSWER_FROM_ZERO : ANSWER_TAKE;
}

/* The server has not got the bytes: perhaps because there are no more. */
static enum answer_verdict judge_unsatisfied(const struct answer *answer,
					     const struct answer_wish *wish)
{
	if (wish->end)
		return ANSWER_UNFIT;
	if (wish->offset == 0)
		return ANSWER_REFUSED;
	return answer->has_total && !answer->range_bad && answer->total == wish->offset &&
			       (!wish->total || wish->total == wish->offset)
		       ? ANSWER_COMPLETE
		       : ANSWER_UNFIT;
}

enum answer_verdict answer_judge(const struct answer *answer,
				 const struct answer_wish *wish)
{
	switch (answer->status) {
	case 200:
		return judge_whole(answer, wish);
	case 206:
		/* Without a Range in the question there is nothing to ask again. */
		if (wish->offset == 0 && !wish->end)
			return ANSWER_REFUSED;
		return judge_partial(answer, wish);
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return answer->has_location && !answer->location_bad ? ANSWER_REDIRECT
								     : ANSWER_REFUSED;
	case 416:
		return judge_unsatisfied(answer, wish);
	default:
		return ANSWER_REFUSED;
	}
}
