/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manager_words.h"

#include <string.h>

#include "base/macro.h"
#include "base/text.h"

/* What went wrong, by any of its words, and the way out. The first line that fits. */
static const struct {
	const char *words[7];
	const char *hint;
} causes[] = {
	/* A repository that is down is left out, and then a package is not found: so it
	 * comes before the rest. */
	{ { "Failed to download metadata", "Cannot download repomd.xml", "Curl error",
	    "Failed to fetch", "Temporary failure resolving", "Could not resolve host",
	    "Failed to retrieve new repository metadata" },
	  "a package repository of this system does not answer: see its address and "
	  "the proxy in the package manager's configuration, then run again" },
	{ { "There are no enabled repos", "No repositories defined",
	    "No repositories were loaded", "There are no repositories" },
	  "this system has no package repository: register it or enable one, then run "
	  "again" },
	{ { "GPG check FAILED", "is not signed", "NO_PUBKEY", "OpenPGP check",
	    "signature verification failed", "Signature verification failed",
	    "couldn't be verified" },
	  "the package manager does not trust a signature: import the key of that "
	  "repository (rpm --import, /etc/apt/keyrings), then run again" },
	{ { "filtered out by exclude", "matches only excluded packages",
	    "filtered out by modular" },
	  "the package manager's configuration excludes these packages: take its "
	  "exclude= line out, then run again" },
	{ { "conflicts with file from package", "trying to overwrite" },
	  "a package that is installed has the same files: remove it, then run again" },
	{ { "No space left on device", "more space on the", "don't have enough free" },
	  "make room on the named file system, then run again" },
};

static const char *const locked[] = {
	"Could not get lock",
	"Unable to acquire the dpkg frontend lock",
	"Unable to lock",
	"was locked by another",
	"already locked by",
	"holding the yum lock",
	"can't create transaction lock",
	"is locked by",
	"System management is locked",
	"Failed to obtain the transaction lock",
};

bool manager_words_locked(const char *output)
{
	for (size_t i = 0; i < ARRAY_SIZE(locked); i++) {
		if (strstr(output, locked[i]))
			return true;
	}
	return false;
}

const char *manager_words_hint(const char *output)
{
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
		for (size_t w = 0; w < ARRAY_SIZE(causes[i].words); w++) {
			if (causes[i].words[w] && strstr(output, causes[i].words[w]))
				return causes[i].hint;
		}
	}
	return NULL;
}

static void append(const char *between, struct span line, char *text, size_t size)
{
	size_t used = strlen(text);

	line = span_trim(line);
	(void)text_format(text + used, size - used, "%s%.*s", used ? between : "",
			  (int)line.len, line.at);
}

/* True: what is left of the line is the complaint, or nothing where others follow. */
static bool skip_mark(struct span *line)
{
	static const char *const marks[] = { "E: ",
					     "Error:",
					     "error:",
					     "RPM: error:",
					     "Failed to resolve the transaction:",
					     "Transaction failed:" };

	/* apt goes on without: where nobody has mounted /dev/pts. */
	if (span_starts(*line, "E: Can not write log"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		if (span_skip(line, marks[i]))
			return true;
	}
	return false;
}

static bool is_heading(struct span line)
{
	line = span_trim(line);
	return line.len == 0 || line.at[line.len - 1] == ':';
}

void manager_words_complaint(struct span output, char *ret_text, size_t size)
{
	struct span line;

	ret_text[0] = '\0';
	while (span_next_line(&output, &line)) {
		bool more;

		if (!skip_mark(&line))
			continue;
		append(" ", line, ret_text, size);
		/* What is announced is indented, or the one next line. */
		for (more = is_heading(line); more && span_next_line(&output, &line);) {
			more = is_heading(line) ||
			       (output.len > 0 && strchr(" \t", output.at[0]));
			append(" ", line, ret_text, size);
		}
		break;
	}
	text_sanitize(ret_text);
}

/* A line by which a manager says that a script failed. */
static bool tells_of_script(struct span line)
{
	static const char *const words[] = { "scriptlet failed",
					     "script subprocess returned error",
					     "script failed" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (memmem(line.at, line.len, words[i], strlen(words[i])))
			return true;
	}
	return false;
}

/* The managers' own lines between those of the script. */
static bool is_framing(struct span line)
{
	static const char *const heads[] = { "dpkg: error processing", "Scriptlet output",
					     "Error in ", "Running " };

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		if (span_starts(line, heads[i]))
			return true;
	}
	return line.len == 0;
}

void manager_words_script(struct span output, char *ret_text, size_t size)
{
	struct span line, last = { "", 0 };

	ret_text[0] = '\0';
	while (span_next_line(&output, &line)) {
		line = span_trim(line);
		(void)span_skip(&line, ">>> "); /* dnf5's margin */
		if (tells_of_script(line)) {
			(void)span_skip(&line, "warning: ");
			(void)span_skip(&line, "error: ");
			append("", last, ret_text, size);
			append(": ", line, ret_text, size);
			break;
		}
		if (!is_framing(line))
			last = line;
	}
	text_sanitize(ret_text);
}
