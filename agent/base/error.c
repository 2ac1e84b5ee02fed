/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"

#undef error_set
#undef error_set_errno
#undef error_set_interrupted
#undef error_prefix
#undef error_hint
#undef error_recode
#undef error_passing

/*
 * What comes from outside may come later: a server, a package, a token, a license, room.
 * What stands in this guest, or was found wrong in what came whole, stays.
 */
static const struct {
	const char *name;
	bool passing;
} codes[] = {
	[ERROR_NONE] = { "ok", false },
	[ERROR_INTERNAL] = { "internal", true },
	[ERROR_USAGE] = { "usage", false },
	[ERROR_NO_GPU] = { "no_gpu", false },
	[ERROR_NO_MATCH] = { "no_match", false },
	[ERROR_NETWORK] = { "network", true },
	[ERROR_INTEGRITY] = { "integrity", false },
	[ERROR_PREREQUISITES] = { "prerequisites", true },
	[ERROR_BUILD] = { "build", false },
	[ERROR_INSTALL] = { "install", false },
	[ERROR_SECURE_BOOT] = { "secure_boot", false },
	[ERROR_TOKEN] = { "token", true },
	[ERROR_UNLICENSED] = { "unlicensed", true },
	[ERROR_DRIVER] = { "driver", true },
	[ERROR_REBOOT] = { "reboot", false },
	[ERROR_BUSY] = { "busy", true },
	[ERROR_PERMISSION] = { "permission", false },
};
_Static_assert(ARRAY_SIZE(codes) == ERROR_CODE_COUNT_, "every code has a name");

/* What the machine lacks at the moment, whatever it was lacking for. */
static bool is_shortage(int errnum)
{
	switch (errnum) {
	case EAGAIN:
	case EBUSY:
	case EDQUOT:
	case EIO:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOSPC:
		return true;
	default:
		return false;
	}
}

static void set_code(struct error *err, enum error_code code)
{
	err->code = code;
	err->passing = codes[code].passing || is_shortage(err->errnum);
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list args;

	*err = ERROR_INIT;
	set_code(err, code);

	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	text_sanitize(err->text);

	return -1;
}

static enum error_code code_of_errno(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM:
	case EROFS:
	case EBUSY:
	case EISDIR:
		return ERROR_PERMISSION;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERROR_PREREQUISITES;
	default:
		return ERROR_INTERNAL;
	}
}

/* What to do about a place that cannot be written although one may; NULL: it depends. */
static const char *hint_of_errno(int errnum)
{
	switch (errnum) {
	case EROFS:
		return "its file system is mounted read-only: mount -o remount,rw, or do "
		       "this where the image is built";
	case EBUSY:
		return "something uses it, or something is mounted there: fuser -vm, "
		       "findmnt";
	case EISDIR:
		return "a folder is where a file belongs: move it away, or name another "
		       "file";
	default:
		return NULL;
	}
}

int error_set_errno(struct error *err, int errnum, const char *fmt, ...)
{
	va_list args;
	size_t used;

	*err = (struct error){ .errnum = errnum };
	set_code(err, code_of_errno(errnum));

	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);

	used = strlen(err->text);
	errno = errnum; /* for %m, which unlike strerror() is safe in threads */
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %m");
	text_sanitize(err->text);
	if (hint_of_errno(errnum))
		(void)snprintf(err->hint, sizeof(err->hint), "%s", hint_of_errno(errnum));

	return -1;
}

int error_set_interrupted(struct error *err)
{
	(void)error_set(err, ERROR_INTERNAL, "interrupted");
	err->interrupted = true;
	return -1;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
	char inner[sizeof(err->text)];
	va_list args;
	size_t used;

	memcpy(inner, err->text, sizeof(inner));

	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);

	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	text_sanitize(err->text);

	return -1;
}

int error_hint(struct error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
	text_sanitize(err->hint);

	return -1;
}

int error_recode(struct error *err, enum error_code code)
{
	set_code(err, code);
	return -1;
}

int error_passing(struct error *err, bool passing)
{
	err->passing = passing;
	return -1;
}

const char *error_code_name(enum error_code code)
{
	return code < ERROR_CODE_COUNT_ ? codes[code].name : "unknown";
}

enum error_code error_code_from_name(const char *name)
{
	for (size_t i = 1; i < ARRAY_SIZE(codes); i++) {
		if (strcmp(codes[i].name, name) == 0)
			return (enum error_code)i;
	}

	return ERROR_INTERNAL;
}
