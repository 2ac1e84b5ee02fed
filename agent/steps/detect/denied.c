/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/denied.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/doctor/doctor_rules.h"

#define AUDIT_LOG "/var/log/audit/audit.log"
#define AUDIT_TAIL (256u << 10)
#define TEXT_MAX (256u << 10)

static bool read_text(const struct root *root, const char *path, char **ret_text)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, &ignored);
	size_t size;

	return fd >= 0 && file_read_fd(fd, TEXT_MAX, ret_text, &size, &ignored) == 0;
}

static bool selinux_enforces(const struct root *root)
{
	cleanup_free char *text = NULL;

	return read_text(root, "/sys/fs/selinux/enforce", &text) && text[0] == '1';
}

/* Its daemon holds this fifo while it works. */
static bool fapolicyd_enforces(const struct root *root)
{
	struct error ignored = ERROR_INIT;
	bool there = false;

	return root_exists(root, "/run/fapolicyd/fapolicyd.fifo", &there, &ignored) ==
		       0 &&
	       there;
}

static bool ima_enforces(const struct root *root)
{
	cleanup_free char *text = NULL;

	return read_text(root, "/proc/cmdline", &text) &&
	       (strstr(text, "ima_appraise=enforce") ||
		strstr(text, "ima_policy=appraise") || strstr(text, "ima_appraise_tcb"));
}

/* Whoever may be it, its errno, and what only its denials in the audit log have. */
static const struct {
	const char *name;
	bool (*enforces)(const struct root *root);
	int errnum;
	const char *marks[2];
} enforcers[] = {
	{ "SELinux", selinux_enforces, EACCES, { "avc:  denied ", " permissive=0" } },
	{ "fapolicyd", fapolicyd_enforces, EPERM, { NULL } }, /* its record has no path */
	{ "IMA", ima_enforces, EACCES, { "type=INTEGRITY_DATA ", " res=0" } },
};

static bool is_about_the_driver(struct span line)
{
	static const char *const words[] = { "nvidia", "vgpu-guest-agent", "modprobe" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (memmem(line.at, line.len, words[i], strlen(words[i])))
			return true;
	}
	return false;
}

static bool has_all(struct span line, const char *const marks[2])
{
	for (size_t i = 0; i < 2; i++) {
		if (!marks[i] || !memmem(line.at, line.len, marks[i], strlen(marks[i])))
			return false;
	}
	return true;
}

/* Seconds since 1970, of "btime N" in /proc/stat. */
static uint64_t boot_time(const struct root *root)
{
	cleanup_free char *text = NULL;
	struct span rest, line;
	uint64_t time = 0;

	if (!read_text(root, "/proc/stat", &text))
		return 0;
	rest = span_of(text);
	while (span_next_line(&rest, &line)) {
		if (span_skip(&line, "btime ") && span_to_u64(span_trim(line), &time))
			return time;
	}
	return 0;
}

/* "... msg=audit(1733000000.123:456): ..." */
static bool is_since(struct span line, uint64_t boot)
{
	static const char mark[] = "msg=audit(";
	const char *at = memmem(line.at, line.len, mark, strlen(mark));
	struct span number, rest;
	uint64_t time = 0;

	if (!at)
		return false;
	at += strlen(mark);
	(void)span_split((struct span){ at, line.len - (size_t)(at - line.at) }, '.',
			 &number, &rest);
	return span_to_u64(number, &time) && time >= boot;
}

/* The end of the log; its first line may be cut off, and then tells of nothing. */
static bool read_log(const struct root *root, char **ret_text)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd =
		root_open_at(root, AUDIT_LOG, O_RDONLY | O_NONBLOCK, 0, &ignored);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	size_t length;

	if (size < 0 || lseek(fd, size > (off_t)AUDIT_TAIL ? size - (off_t)AUDIT_TAIL : 0,
			      SEEK_SET) < 0)
		return false;
	return file_read_fd(fd, 2 * AUDIT_TAIL, ret_text, &length, &ignored) == 0;
}

/* The last one is the likeliest. */
static void read_denial(const struct root *root, struct denied *denied)
{
	cleanup_free char *text = NULL;
	uint64_t boot = boot_time(root);
	struct span rest, line;

	if (!read_log(root, &text))
		return;
	rest = span_of(text);
	while (span_next_line(&rest, &line)) {
		for (size_t i = 0; i < ARRAY_SIZE(enforcers); i++) {
			if (!has_all(line, enforcers[i].marks) ||
			    !is_about_the_driver(line) || !is_since(line, boot))
				continue;
			denied->by = enforcers[i].name;
			(void)span_copy(line, denied->line, sizeof(denied->line));
		}
	}
	text_sanitize(denied->line);
}

void denied_look(const struct root *root, int errnum, struct denied *ret_denied)
{
	struct denied denied = { .by = NULL };

	read_denial(root, &denied);
	for (size_t i = 0; i < ARRAY_SIZE(enforcers) && !denied.by; i++) {
		if ((errnum == 0 || errnum == enforcers[i].errnum) &&
		    enforcers[i].enforces(root))
			denied.by = enforcers[i].name;
	}
	*ret_denied = denied;
}

void denied_explain(const struct root *root, struct error *err)
{
	int errnum = strstr(err->text, "Permission denied")         ? EACCES
		     : strstr(err->text, "Operation not permitted") ? EPERM
								    : 0;
	struct doctor_cause cause;
	struct denied denied;

	/* A signature that is missing has its own words. */
	if (errnum == 0 || err->interrupted || err->code == ERROR_SECURE_BOOT)
		return;
	denied_look(root, errnum, &denied);
	if (!denied.by)
		return;
	doctor_denied_tell(denied.by, denied.line, &cause);
	(void)error_prefix(err, "%.200s", cause.message);
	(void)error_hint(err, "%s", cause.hint);
	(void)error_passing(err, true);
}
