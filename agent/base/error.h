/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What went wrong, in words for a person and in a code for a program.
 *
 * A function that can fail returns 0 or -1 and takes `struct error *err` last.
 * On -1 `err` is filled in; on 0 it is untouched. `err` is never NULL.
 * The error lives on the caller's stack: reporting a failure allocates nothing.
 *
 * Texts and hints quote names of strangers: what a terminal would obey and what is no
 * UTF-8 becomes '?' in them, whoever prints them later.
 */

#include <stdbool.h>

#include "base/macro.h"

/* One code per thing the operator would do next. Also the exit status: only append. */
enum error_code {
	ERROR_NONE = 0,
	ERROR_INTERNAL,      /* a bug of ours, or a system call failed: see errnum */
	ERROR_USAGE,         /* fix the command line or the configuration file */
	ERROR_NO_GPU,        /* no NVIDIA GPU in this guest */
	ERROR_NO_MATCH,      /* no driver fits */
	ERROR_NETWORK,       /* try again later */
	ERROR_INTEGRITY,     /* the bytes are not the promised ones: do not retry */
	ERROR_PREREQUISITES, /* headers, compiler, space or a tool is missing */
	ERROR_BUILD,         /* read the build log */
	ERROR_INSTALL,
	ERROR_SECURE_BOOT,
	ERROR_TOKEN,
	ERROR_UNLICENSED,
	ERROR_DRIVER,
	ERROR_REBOOT,
	ERROR_BUSY,
	ERROR_PERMISSION,
	ERROR_CODE_COUNT_,
};

struct error {
	enum error_code code;
	int errnum;       /* errno where a system call failed, else 0 */
	bool interrupted; /* SIGINT or SIGTERM ended the work */
	bool passing;     /* the same, later, may work though nobody changes this guest */
	char text[512];
	char hint[384]; /* what to do next, or "" */
};

#define ERROR_INIT ((struct error){ .code = ERROR_NONE })

/*
 * Each returns -1, so that `return error_set(...)` can never report success, and
 * drops an earlier hint. error_set_errno() chooses the code: PERMISSION for EACCES,
 * EPERM, EROFS, EBUSY and EISDIR, PREREQUISITES for ENOSPC, EDQUOT and EFBIG, else
 * INTERNAL. Passing follows from the code, and from an errno that tells of a shortage.
 */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
	printf_like(3, 4);
int error_set_errno(struct error *err, int errnum, const char *fmt, ...)
	printf_like(3, 4);

/* The work was ended by a signal: nothing failed. */
int error_set_interrupted(struct error *err);

/* Puts "<context>: " in front of the text: call it where the name is known. */
int error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);

/* Says what to do next. */
int error_hint(struct error *err, const char *fmt, ...) printf_like(2, 3);

/* Another meaning for the same text, where the caller knows better: passing follows. */
int error_recode(struct error *err, enum error_code code);

/* Says whether waiting can help, where the caller knows better than the code. */
int error_passing(struct error *err, bool passing);

/* The name in the contract: "no_match". */
const char *error_code_name(enum error_code code);

/* The code of a name of the contract; ERROR_INTERNAL for any other text. */
enum error_code error_code_from_name(const char *name);

/*
 * The same functions, whose -1 also the compiler sees: static analysis then knows that
 * after `return error_set(...)` no caller goes on.
 */
#define error_set(...) (error_set(__VA_ARGS__), -1)
#define error_set_errno(...) (error_set_errno(__VA_ARGS__), -1)
#define error_set_interrupted(err) (error_set_interrupted(err), -1)
#define error_prefix(...) (error_prefix(__VA_ARGS__), -1)
#define error_hint(...) (error_hint(__VA_ARGS__), -1)
#define error_recode(...) (error_recode(__VA_ARGS__), -1)
#define error_passing(...) (error_passing(__VA_ARGS__), -1)
