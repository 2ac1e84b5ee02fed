/* SPDX-License-Identifier: Apache-2.0 */

/* The part of worker/bundle/member_take.h that another process reads. */

#include <string.h>

#include "base/span.h"
#include "base/text.h"
#include "worker/bundle/bundle_file.h"
#include "worker/bundle/member_take.h"

#define NOTE_SIZE 200
#define NUMBERS 7

void member_note_write(int fd, const struct member_note *note)
{
	char text[NOTE_SIZE];

	if (fd < 0 ||
	    !text_format(text, sizeof(text), "%ju %ju %ju %ju %ju %ju %ju \n",
			 (uintmax_t)note->offset, (uintmax_t)note->compressed_size,
			 (uintmax_t)note->header, (uintmax_t)note->point.in,
			 (uintmax_t)note->point.out, (uintmax_t)note->point.bits,
			 (uintmax_t)note->point.value))
		return;
	/* The numbers of a note only grow: a new note is never shorter than the one it
	 * covers. */
	if (pwrite(fd, text, strlen(text), 0) < 0 && ftruncate(fd, 0) < 0)
		return;
}

bool member_note_read(int fd, struct member_note *ret_note)
{
	char text[NOTE_SIZE];
	ssize_t size = fd < 0 ? 0 : pread(fd, text, sizeof(text), 0);
	struct span rest = { text, size > 0 ? (size_t)size : 0 };
	uint64_t numbers[NUMBERS];

	for (size_t i = 0; i < NUMBERS; i++) {
		struct span number;

		if (!span_split(rest, ' ', &number, &rest) ||
		    !span_to_u64(number, &numbers[i]))
			return false;
	}
	if (!span_equals(rest, "\n") || numbers[2] < BUNDLE_LOCAL_SIZE ||
	    numbers[2] > UINT32_MAX || numbers[5] > 7 || numbers[6] >> numbers[5] != 0 ||
	    numbers[3] > numbers[1])
		return false;
	*ret_note = (struct member_note){
		.offset = numbers[0],
		.compressed_size = numbers[1],
		.header = numbers[2],
		.point = { .in = numbers[3],
			   .out = numbers[4],
			   .bits = (unsigned)numbers[5],
			   .value = (unsigned)numbers[6] },
	};
	return true;
}
