/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runfile.h"

/* The value of a shell assignment: up to its closing quote, or the bare word. */
static struct span unquote(struct span value)
{
	struct span head, rest;

	value = span_trim(value);
	if (span_skip(&value, "\"")) {
		(void)span_split(value, '"', &head, &rest);
		return head;
	}
	(void)span_split(value, ' ', &head, &rest);
	return head;
}

/* The first assignment counts; what follows in the payload is chance. */
static void take_once(struct span line, const char *key, struct span *value)
{
	if (!value->at && span_skip(&line, key))
		*value = unquote(line);
}

bool runfile_parse(const char *head, size_t size, struct runfile *ret_runfile)
{
	struct span rest = { head, size < RUNFILE_HEAD_MAX ? size : RUNFILE_HEAD_MAX };
	struct span line, version = { 0 }, arch = { 0 }, crc = { 0 }, skip = { 0 };
	uint64_t number = 0, last = UINT64_MAX;

	if (!span_starts(rest, "#!"))
		return false;

	for (uint64_t n = 1; n < last && span_next_line(&rest, &line); n++) {
		take_once(line, "CRCsum=", &crc);
		take_once(line, "version_string=", &version);
		take_once(line, "TARGET_ARCH=", &arch);
		take_once(line, "skip=", &skip);
		/* Line `skip` is the payload's first. */
		if (last == UINT64_MAX && skip.at && span_to_u64(skip, &number) &&
		    number > 0)
			last = number;
	}
	/* A script of somebody's has neither. */
	if (!version.at && !crc.at)
		return false;

	*ret_runfile = (struct runfile){ 0 };
	if (version.at && version_valid(version))
		(void)span_copy(version, ret_runfile->version,
				sizeof(ret_runfile->version));
	if (arch.at && arch.len < sizeof(ret_runfile->arch))
		(void)span_copy(arch, ret_runfile->arch, sizeof(ret_runfile->arch));
	if (crc.at && span_to_u64(crc, &number) && number <= UINT32_MAX) {
		ret_runfile->has_crc = true;
		ret_runfile->crc = (uint32_t)number;
	}
	return true;
}
