/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/build_log.h"

#include <string.h>

#include "base/text.h"

#define LINE_MAX_LEN 200
#define LINES 2

static bool contains(struct span line, const char *word)
{
	return line.len > 0 && memmem(line.at, line.len, word, strlen(word)) != NULL;
}

/* "x.c:3:5: error: ...", "cc1: fatal error: ...", "ERROR: modpost: ...", "ld: error: ..."
 */
static bool is_error(struct span line)
{
	return contains(line, " error: ") || span_starts(line, "error: ") ||
	       span_starts(line, "ERROR: ");
}

/* "/var/cache/.../nvidia/nv-pci.c:230:12: error" -> "nv-pci.c:230:12: error" */
static struct span without_folder(struct span line)
{
	size_t cut = 0;

	if (line.len == 0 || line.at[0] != '/')
		return line;
	for (size_t i = 0; i < line.len && line.at[i] != ' '; i++) {
		if (line.at[i] == '/')
			cut = i + 1;
	}
	return (struct span){ .at = line.at + cut, .len = line.len - cut };
}

/*
 * "/usr/bin/x86_64-linux-gnu-ld: nvidia.o: ...": GNU ld calls none of its errors one, but
 * its warnings are marked. What goes on in a line of its own begins with the object.
 */
static bool is_linkers_error(struct span line)
{
	struct span program, rest;
	char name[64];

	if (contains(line, ": undefined reference to "))
		return true;
	if (!span_split(line, ':', &program, &rest) ||
	    !span_copy(without_folder(program), name, sizeof(name)))
		return false;
	return (strcmp(name, "ld") == 0 || text_ends(name, "-ld") ||
		text_starts(name, "ld.")) &&
	       !span_starts(rest, " warning: ");
}

/* Of two shells, and of make that starts a program itself. */
static bool names_missing_tool(struct span line)
{
	return contains(line, ": not found") || contains(line, ": command not found") ||
	       contains(line, ": Command not found") ||
	       (span_starts(line, "make") &&
		contains(line, ": No such file or directory"));
}

/*
 * What is amiss with the tools or the headers, whichever driver is compiled with them:
 * another version would fail at it, too.
 */
static bool is_of_tools(struct span line)
{
	static const char *const words[] = {
		"CC sanity check",                /* nvidia's conftest: no cc1, no as */
		": fatal error: cannot execute ", /* gcc of its own parts */
		"error while loading shared libraries: ", /* objtool, modpost */
		/* Another compiler than the kernel's: gcc, clang. */
		": error: unrecognized command",
		": error: unknown argument: ",
		"Kernel configuration is invalid",     /* headers that are half there */
		"error: Cannot generate ORC metadata", /* no libelf */
		": fatal error: libelf.h: No such file",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (contains(line, words[i]))
			return true;
	}
	return false;
}

/* gcc and collect2 tell of their own children, make of what it started. */
static bool is_killed(struct span line)
{
	return contains(line, "Killed signal terminated program") ||
	       contains(line, "terminated with signal 9") ||
	       (contains(line, "*** ") && contains(line, "] Killed"));
}

static void add_line(struct span line, char *text, size_t size)
{
	char copy[LINE_MAX_LEN];
	size_t used = strlen(text);

	(void)span_copy(without_folder(span_trim(line)), copy, sizeof(copy));
	text_sanitize(copy);
	(void)text_format(text + used, size - used, "%s%s", used ? "; " : "", copy);
}

enum build_log_cause build_log_read(struct span output, char *ret_text, size_t size)
{
	struct span rest = output, line;
	struct span complaint = { .at = "", .len = 0 }, last = complaint;
	struct span tool = complaint;
	enum build_log_cause cause = BUILD_LOG_SOURCE;
	int errors = 0;

	ret_text[0] = '\0';
	while (span_next_line(&rest, &line)) {
		if (span_trim(line).len > 0)
			last = line;
		if (is_killed(line))
			cause = BUILD_LOG_KILLED;
		if (names_missing_tool(line))
			tool = line;
		if (is_of_tools(line) && cause == BUILD_LOG_SOURCE) {
			cause = BUILD_LOG_NO_TOOL;
			tool = line;
		}
		/* What a shell could not find: only then it matters that it was not. */
		if (tool.len > 0 && contains(line, "*** ") &&
		    contains(line, " Error 127"))
			cause = BUILD_LOG_NO_TOOL;
		if ((is_error(line) || is_linkers_error(line)) && errors < LINES) {
			add_line(line, ret_text, size);
			errors++;
		} else if (complaint.len == 0 && contains(line, "*** ")) {
			complaint = line;
		}
	}

	if (cause == BUILD_LOG_NO_TOOL) {
		ret_text[0] = '\0';
		add_line(tool, ret_text, size);
	} else if (errors == 0) {
		add_line(complaint.len > 0 ? complaint : last, ret_text, size);
	}
	return cause;
}
