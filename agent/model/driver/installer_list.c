/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/installer_list.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"

#define HEAD_LINES 8 /* of a manifest; the second is the version */
#define KEPT_LINK 2
#define KEPT_FILE 100 /* and all above */

bool installer_list_open_manifest(struct span *manifest, struct span *ret_version)
{
	struct span line;

	for (int i = 0; i < HEAD_LINES; i++) {
		if (!span_next_line(manifest, &line))
			return false;
		if (i == 1)
			*ret_version = span_trim(line);
	}
	return ret_version->len > 0;
}

static struct span next_word(struct span *rest)
{
	struct span word;

	(void)span_split(span_trim(*rest), ' ', &word, rest);
	return word;
}

bool installer_list_next_file(struct span *files, struct installer_file *ret_file)
{
	struct span line, word;

	/* An empty line ends them. */
	if (!span_next_line(files, &line) || span_trim(line).len == 0)
		return false;
	*ret_file = (struct installer_file){ .path = { "", 0 } };
	ret_file->name = span_base_name(next_word(&line));
	(void)next_word(&line); /* the mode */
	ret_file->type = next_word(&line);
	word = next_word(&line);
	if (span_starts(word, "/"))
		ret_file->path = word;
	return true;
}

static bool is_version_char(char c)
{
	return (c >= '0' && c <= '9') || c == '.';
}

bool installer_list_is_versioned(struct span name, struct span version)
{
	for (size_t at = 0; version.len > 0 && at + version.len <= name.len; at++) {
		const char *end = name.at + at + version.len;

		if (memcmp(name.at + at, version.at, version.len) != 0)
			continue;
		/* "libx.so.525.60" is not named in "libx.so.525.60.11" nor in "1525.60".
		 */
		if (at > 0 && name.at[at - 1] >= '0' && name.at[at - 1] <= '9')
			continue;
		if (at + version.len == name.len || !is_version_char(*end))
			return true;
	}
	return false;
}

static bool has_type(const struct installer_file *file, const char *const *types)
{
	for (; *types; types++) {
		if (span_equals(file->type, *types))
			return true;
	}
	return false;
}

bool installer_list_place(const struct installer_file *file, struct span version,
			  char ret_path[INSTALLER_PATH_MAX])
{
	static const char *const programs[] = { "INSTALLER_BINARY", "UTILITY_BINARY",
						"UTILITY_BIN_SYMLINK", "NVIDIA_MODPROBE",
						NULL };
	static const char *const units[] = { "SYSTEMD_UNIT", NULL };
	static const char *const firmware[] = { "FIRMWARE", NULL };
	static const char *const named[] = { "EXPLICIT_PATH", NULL };
	char folder[INSTALLER_PATH_MAX];

	if (has_type(file, programs))
		text_path(folder, sizeof(folder), "/usr/bin");
	else if (has_type(file, units))
		text_path(folder, sizeof(folder), PATHS_UNITS);
	else if (has_type(file, firmware))
		text_path(folder, sizeof(folder), "/lib/firmware/nvidia/%.*s",
			  (int)version.len, version.at);
	else if (!has_type(file, named) || file->path.len == 0 ||
		 !span_copy(file->path, folder, sizeof(folder)))
		return false;
	return file->name.len > 0 &&
	       text_format(ret_path, INSTALLER_PATH_MAX, "%s/%.*s", folder,
			   (int)file->name.len, file->name.at);
}

/* "1.0-52510517 (525.105.17)" */
bool installer_list_open_record(struct span *record, struct span *ret_version)
{
	struct span line, head, tail, description;

	if (!span_next_line(record, &line) || !span_next_line(record, &description) ||
	    !span_split(line, '(', &head, &tail) || !span_split(tail, ')', &head, &tail))
		return false;
	*ret_version = head;
	return head.len > 0;
}

/* "1: /usr/bin/nvidia-smi", then what it looked like: two lines of a link of others. */
bool installer_list_next_entry(struct span *entries, struct installer_entry *ret_entry)
{
	struct span line, head, path, more;
	uint64_t number;

	if (!span_next_line(entries, &line) || !span_split(line, ':', &head, &path) ||
	    !span_to_u64(head, &number) || !span_next_line(entries, &more) ||
	    (number == KEPT_LINK && !span_next_line(entries, &more)))
		return false;
	if (number > KEPT_LINK && number < KEPT_FILE)
		return false;
	ret_entry->kind = number == 0   ? INSTALLER_ENTRY_LINK
			  : number == 1 ? INSTALLER_ENTRY_FILE
					: INSTALLER_ENTRY_KEPT;
	ret_entry->path = span_trim(path);
	return span_starts(ret_entry->path, "/");
}
