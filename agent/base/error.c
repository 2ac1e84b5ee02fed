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

static const char *const code_names[] = {
	[ERROR_NONE] = "ok",
	[ERROR_INTERNAL] = "internal",
	[ERROR_USAGE] = "usage",
	[ERROR_NO_GPU] = "no_gpu",
	[ERROR_NO_MATCH] = "no_match",
	[ERROR_NETWORK] = "network",
	[ERROR_INTEGRITY] = "integrity",
	[ERROR_PREREQUISITES] = "prerequisites",
	[ERROR_BUILD] = "build",
	[ERROR_INSTALL] = "install",
	[ERROR_SECURE_BOOT] = "secure_boot",
	[ERROR_TOKEN] = "token",
	[ERROR_UNLICENSED] = "unlicensed",
	[ERROR_DRIVER] = "driver",
	[ERROR_REBOOT] = "reboot",
	[ERROR_BUSY] = "busy",
	[ERROR_PERMISSION] = "permission",
};
_Static_assert(ARRAY_SIZE(code_names) == ERROR_CODE_COUNT_, "every code has a name");

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list args;

	*err = (struct error){ .code = code };

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
		return ERROR_PERMISSION;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERROR_PREREQUISITES;
	default:
		return ERROR_INTERNAL;
	}
}

int error_set_errno(struct error *err, int errnum, const char *fmt, ...)
{
	va_list args;
	size_t used;

	*err = (struct error){ .code = code_of_errno(errnum), .errnum = errnum };

	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);

	used = strlen(err->text);
	errno = errnum; /* for %m, which unlike strerror() is safe in threads */
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %m");
	text_sanitize(err->text);

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
	err->code = code;
	return -1;
}

const char *error_code_name(enum error_code code)
{
	return code < ERROR_CODE_COUNT_ ? code_names[code] : "unknown";
}

enum error_code error_code_from_name(const char *name)
{
	for (size_t i = 1; i < ARRAY_SIZE(code_names); i++) {
		if (strcmp(code_names[i], name) == 0)
			return (enum error_code)i;
	}

	return ERROR_INTERNAL;
}
