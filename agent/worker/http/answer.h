/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the head of one HTTP answer says, and whether the body that follows is the one
 * that was asked for. libcurl checks neither the range of a 206 nor the encoding.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer {
	long status;     /* 0: no status line yet */
	char reason[96]; /* printable; Pulp's guards say there what is missing */
	bool has_length;
	bool contradicts; /* two different lengths or ranges */
	uint64_t length;
	bool has_range; /* Content-Range: bytes first-last/total */
	bool range_bad; /* a Content-Range that cannot be read so */
	uint64_t first, last;
	bool has_total;
	uint64_t total;
	bool encoded; /* Content-Encoding other than identity */
	bool chunked;
	bool has_location;
	bool location_bad; /* empty, or with a control byte */
};

/*
 * Takes one line as libcurl hands it over, with its line end. A status line begins anew:
 * interim answers come the same way. True when the head is complete and no interim one.
 */
bool answer_line(struct answer *answer, const char *line, size_t size);

enum answer_verdict {
	ANSWER_TAKE,       /* the body continues the bytes that we have */
	ANSWER_FROM_ZERO,  /* the body is the whole: drop the bytes that we have */
	ANSWER_UNFIT,      /* the range cannot be had: ask again for the whole, or of a
			      part: it cannot be had at all */
	ANSWER_COMPLETE,   /* we have all bytes already */
	ANSWER_WRONG_SIZE, /* the whole has another size than was promised */
	ANSWER_ENCODED,
	ANSWER_REDIRECT,
	ANSWER_REFUSED, /* any other status */
};

/* What was asked for. */
struct answer_wish {
	uint64_t offset; /* the first byte; 0 without `end`: no Range was sent */
	uint64_t end;    /* a part of the file ends before this byte; 0: all the rest */
	uint64_t total;  /* of the whole file; 0: not known */
};

enum answer_verdict answer_judge(const struct answer *answer,
				 const struct answer_wish *wish);
