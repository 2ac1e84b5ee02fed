/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The system's package manager, whichever it is: unattended, and never waiting for its
 * locks. Whoever holds them may wait for ours: kernel packages call a hook of the agent.
 */

#include "base/root.h"
#include "base/run.h"

enum manager_kind {
	MANAGER_DNF5,
	MANAGER_DNF,
	MANAGER_YUM,
	MANAGER_MICRODNF,
	MANAGER_ZYPPER,
	MANAGER_TDNF,
	MANAGER_APT,
};

/*
 * The one that is there. `own` is the program that the distribution itself uses, "" where
 * that is not known: it comes first, then another one for the same packages. False where
 * there is none.
 */
bool manager_find(const struct root *root, const char *own, enum manager_kind *ret_kind);
const char *manager_name(enum manager_kind kind); /* "dnf" */

struct manager {
	enum manager_kind kind;
	struct runner *runner;
	const struct root *root;
	int log_fd;   /* gets all output; 0: nowhere */
	bool replace; /* also over a newer version */
	bool again;   /* the same version once more, also where it is there and whole */
	/*
	 * Of MANAGER_WORDS_MAX bytes, gets what a script of a package said that failed,
	 * "" where none did: rpm's managers call that installed. May be NULL.
	 */
	char *script;
};

#define MANAGER_PACKAGES_MAX 16
#define MANAGER_WORDS_MAX 300

/*
 * Installs packages: names of the repositories, or absolute paths. Where the first try
 * fails, the package lists are brought up to date and an interrupted dpkg is repaired.
 * ERROR_PREREQUISITES with the package manager's own words, and a hint by what went wrong
 * where the words tell.
 *
 * 0 means that the manager is content, not that what the package brings is there: who
 * needs that looks.
 */
must_check int manager_install(const struct manager *manager, const char *const *packages,
			       struct error *err);

/*
 * dpkg's alone, nothing with another manager: unpacks the package in the file `path`
 * again, whose unpacking was cut off, so that it can be removed. Its scripts that compile
 * do not run.
 */
must_check int manager_unpack(const struct manager *manager, const char *path,
			      struct error *err);

/*
 * Removes one installed package, with the same error; what dpkg had begun is ended first.
 */
must_check int manager_remove(const struct manager *manager, const char *package,
			      struct error *err);

enum manager_lock {
	MANAGER_LOCK_UNKNOWN, /* there is none to ask */
	MANAGER_LOCK_FREE,
	MANAGER_LOCK_HELD,
};

/* Whether one is at work, which takes nothing; `ret_pid` is who, where it is held. */
enum manager_lock manager_look(const struct root *root, long *ret_pid);

/* Before what is only done for the sake of the manager: an error where one is at work. */
must_check int manager_need_unlocked(const struct manager *manager, struct error *err);

/*
 * Whether a function above failed because another one is at work. The caller lets go of
 * its own lock before it waits, and begins anew.
 */
bool manager_was_locked(const struct error *err);
