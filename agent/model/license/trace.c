/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define LEAVING UINT64_C(0xcdfb8afc05487981) /* FACTOR to the power of TRACE_PIECE */
#define STEP 16       /* between two pieces: two are whole in each line of 64 */
#define RUN_MIN 44    /* of a line of a token, and more than a sum of SHA-1 has */
#define FOLD_MIN 30   /* nobody folds into shorter lines, and words are shorter */
#define HEADER_MIN 10 /* {"alg":""} has more */
#define PART_MIN 32   /* of payload and signature: "eyJ..." of a manual is no token */

static uint64_t hash_piece(const char *at)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < TRACE_PIECE; i++)
		hash = hash * FACTOR + (unsigned char)at[i];
	return hash;
}

static bool is_known(const struct trace *trace, uint64_t hash)
{
	if (!(trace->filter[hash >> 54] >> (hash >> 48 & 63) & 1))
		return false;
	for (size_t i = 0; i < trace->count; i++) {
		if (trace->pieces[i] == hash)
			return true;
	}
	return false;
}

static void add(struct trace *trace, uint64_t piece)
{
	if (trace->count == TRACE_PIECES_MAX || is_known(trace, piece))
		return;
	trace->pieces[trace->count++] = piece;
	trace->filter[piece >> 54] |= UINT64_C(1) << (piece >> 48 & 63);
}

void trace_learn(struct trace *trace, struct span token)
{
	token = span_trim(token);
	for (size_t at = token.len / 2; at + TRACE_PIECE <= token.len; at += STEP)
		add(trace, hash_piece(token.at + at));
}

struct json *trace_print(const struct trace *trace)
{
	cleanup_json struct json *pieces = json_build("[]");

	for (size_t i = 0; pieces && i < trace->count; i++) {
		char word[20];

		(void)snprintf(word, sizeof(word), "%016" PRIx64, trace->pieces[i]);
		if (json_append(pieces, json_build("s", word)) < 0)
			return NULL;
	}
	return take_ptr(pieces);
}

static bool read_piece(const char *word, uint64_t *ret_piece)
{
	char *end;

	if (!word || strlen(word) != 16)
		return false;
	*ret_piece = strtoull(word, &end, 16);
	return end == word + 16;
}

void trace_read(struct trace *trace, const struct json *pieces)
{
	for (size_t i = 0; i < json_count(pieces); i++) {
		uint64_t piece;

		if (read_piece(json_as_string(json_at(pieces, i)), &piece))
			add(trace, piece);
	}
}

void trace_begin(struct trace_scan *ret_scan, const struct trace *trace)
{
	*ret_scan = (struct trace_scan){ .trace = trace };
}

static bool is_piece(const struct trace *trace, struct trace_level *level,
		     unsigned char byte)
{
	unsigned char *slot = &level->window[level->seen++ % TRACE_PIECE];

	level->hash = level->hash * FACTOR + byte - LEAVING * *slot;
	*slot = byte;
	return level->seen >= TRACE_PIECE && is_known(trace, level->hash);
}

/* The value of a character of either alphabet of base64; -1: it is of none. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* The beginning of base64 of "{" and a quote or a blank. */
static bool begins_object(const char *last, char c)
{
	if (last[0] != 'e')
		return false;
	return last[1] == 'y' ? (c >= 'A' && c <= 'D') || (c >= 'I' && c <= 'L')
			      : last[1] == 'w' && ((c >= 'k' && c <= 'r') ||
						   (c >= '0' && c <= '3'));
}

static void end_part(struct trace_level *level)
{
	bool header = level->length >= HEADER_MIN;

	if (level->part == 1 && level->length >= PART_MIN)
		level->part = 2;
	else
		level->part = level->part < 2 && header ? 1 : 0;
	level->length = 0;
}

/* A header may stand behind anything, a payload begins behind its dot. */
static bool is_token(struct trace_level *level, char c)
{
	if (c == '+' || c == '/') {
		level->part = 0;
		level->length = 0;
	} else if (c == '.') {
		end_part(level);
	} else if (level->part == 2) {
		return ++level->length == PART_MIN;
	} else if (level->length > 0 || level->part == 1) {
		level->length++;
		if (level->part == 1 && level->length == 3 &&
		    !begins_object(level->last, c))
			level->part = 0;
	} else if (begins_object(level->last, c)) {
		level->length = 3;
	}
	return false;
}

static bool take_byte(struct trace_scan *scan, size_t depth, char c);

/* The bytes of a group of base64 that is whole, or cut at its end. */
static bool take_group(struct trace_scan *scan, size_t depth)
{
	struct trace_level *level = &scan->levels[depth];
	uint32_t bits = level->bits << (4 - level->group) * 6;
	unsigned bytes = level->group > 0 ? level->group - 1 : 0;

	level->bits = 0;
	level->group = 0;
	for (unsigned i = 0; i < bytes; i++) {
		if (take_byte(scan, depth + 1, (char)(bits >> (16 - 8 * i) & 0xff)))
			return true;
	}
	return false;
}

static bool end_text(struct trace_scan *scan, size_t depth);

static bool end_base64(struct trace_scan *scan, size_t depth)
{
	if (depth + 1 == TRACE_LEVELS)
		return false;
	if (take_group(scan, depth))
		return true;
	if (scan->levels[depth + 1].seen == 0)
		return false;
	if (end_text(scan, depth + 1))
		return true;
	scan->levels[depth + 1] = (struct trace_level){ .seen = 0 };
	return false;
}

/* Here ends whatever was begun: what comes next is another text. */
static bool end_text(struct trace_scan *scan, size_t depth)
{
	struct trace_level *level = &scan->levels[depth];

	level->part = 0;
	level->length = 0;
	level->line = 0;
	level->folded = false;
	return end_base64(scan, depth);
}

/* Base64 is folded where a group ends: else the line before was another text. */
static bool take_blank(struct trace_scan *scan, size_t depth)
{
	struct trace_level *level = &scan->levels[depth];

	level->folded |= level->line >= FOLD_MIN;
	level->line = 0;
	if (!level->folded)
		return end_text(scan, depth);
	return level->group > 0 && end_base64(scan, depth);
}

static bool take_character(struct trace_scan *scan, size_t depth, char c)
{
	struct trace_level *level = &scan->levels[depth];
	int value = value_of(c);
	bool found;

	if (value < 0 && c != '.')
		return end_text(scan, depth);
	level->folded = false;
	level->line++;
	found = is_token(level, c);
	if (found || depth + 1 == TRACE_LEVELS)
		return found;
	if (value < 0)
		return take_group(scan, depth);
	level->bits = level->bits << 6 | (uint32_t)value;
	return ++level->group == 4 && take_group(scan, depth);
}

/* "\n" in a text of JSON is a fold as a line's end is. */
static bool take_byte(struct trace_scan *scan, size_t depth, char c)
{
	struct trace_level *level = &scan->levels[depth];
	bool escaped = level->escaped, found;

	if (is_piece(scan->trace, level, (unsigned char)c))
		return true;
	level->escaped = c == '\\' && !escaped;
	if (level->escaped)
		return false;
	if (escaped && c != 'n' && c != 'r' && c != 't' && end_text(scan, depth))
		return true;
	if (c == '\n' || c == ' ' || c == '\r' || c == '\t' ||
	    (escaped && (c == 'n' || c == 'r' || c == 't')))
		found = take_blank(scan, depth);
	else
		found = take_character(scan, depth, c);
	level->last[0] = level->last[1];
	level->last[1] = c;
	return found;
}

static bool is_character(char c)
{
	return value_of(c) >= 0 || c == '.';
}

/*
 * Where the next unbroken text begins that is long enough to be a line of a token, or
 * that may be at the end of these bytes. Only one in RUN_MIN of the others is looked at.
 */
static size_t next_text(struct span bytes, size_t from)
{
	size_t begin, end, at = from + RUN_MIN - 1;

	while (at < bytes.len) {
		begin = at + 1;
		while (begin > from && is_character(bytes.at[begin - 1]))
			begin--;
		end = at + 1;
		while (begin <= at && end < bytes.len && end - begin < RUN_MIN &&
		       is_character(bytes.at[end]))
			end++;
		if (begin <= at && (end - begin >= RUN_MIN || end == bytes.len))
			return begin;
		from = begin <= at ? end : at + 1;
		at = from + RUN_MIN - 1;
	}
	begin = bytes.len;
	while (begin > from && is_character(bytes.at[begin - 1]))
		begin--;
	return begin;
}

bool trace_take(struct trace_scan *scan, struct span bytes)
{
	const struct trace_level *level = &scan->levels[0];
	size_t at = 0;

	while (at < bytes.len) {
		if (!scan->inside) {
			at = next_text(bytes, at);
			scan->inside = at < bytes.len;
			continue;
		}
		if (take_byte(scan, 0, bytes.at[at++]))
			return true;
		if (level->line == 0 && !level->folded && !level->escaped)
			trace_begin(scan, scan->trace);
	}
	return false;
}
