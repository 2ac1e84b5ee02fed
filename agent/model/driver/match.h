/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which driver: the rules of the contract's section 7, as one pure decision.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "model/driver/known.h"
#include "model/driver/package.h"
#include "model/gpu.h"
#include "model/repository/repository.h"

enum match_rule {
	MATCH_NONE,
	MATCH_INSTALLED,
	MATCH_URL,
	MATCH_VERSION,
	MATCH_BUNDLE,
	MATCH_CATALOG,
	MATCH_BRANCH,
	MATCH_PREVIOUS_BRANCH,
	MATCH_ONLY,
};

struct match_input {
	const struct gpu_list *gpus;    /* may be empty: offline */
	const struct host_driver *host; /* version "": record read and absent, or ... */
	bool host_unreadable;           /* ... it could not be read (no root) */
	const char *arch;               /* "x86_64" */
	enum package_kind os_kind;      /* PACKAGE_DEB, PACKAGE_RPM or PACKAGE_NONE */
	const char *package;            /* driver.package: auto, run, deb, rpm */
	const char *url, *version;      /* "" when not set */
	bool upgrade, allow_mismatch;
	bool commanded;        /* `url` or `version` stands on the command line: obeyed */
	const char *installed; /* version of the driver that is there, or "" */
	bool installed_fits;   /* it is a GRID driver and can be loaded */
	bool installed_doomed; /* it is known not to compile for the running kernel */
	bool fallback;         /* then it makes way for one that fits and may compile */
	bool again;            /* where it stays, its own package is needed once more */
	const struct repository *repository; /* NULL: none asked or none reached */
	struct known_input known; /* which kernels, and what this guest has tried */
	bool may_ask;             /* there is a repository, and nobody has asked it yet */
	bool repository_may_come; /* no file names one, but the metadata may do so later
				   */
};

struct match_candidate {
	char name[PACKAGE_NAME_MAX];
	char version[VERSION_MAX];
	bool accepted;
	char why[256];
};

struct match {
	enum match_rule rule;
	bool ask; /* with MATCH_NONE: only the repository can tell; ask it, then again */
	struct package package; /* of MATCH_INSTALLED only the version */
	bool doomed;       /* it is known not to compile here, but nothing else fits */
	char warning[256]; /* of previous-branch, a newer one seen, ...; or "" */
	size_t count;
	struct match_candidate *candidates;
};

/*
 * Decides. ERROR_NO_MATCH with the reason and the hint; ERROR_PERMISSION when the host's
 * version could not be read and nothing else names a driver. On -1 `ret_match` holds
 * the candidates all the same (that is what `plan` shows), with rule MATCH_NONE. Where
 * `may_ask`, it asks for the repository (0, ret_match->ask) unless it is not needed.
 */
must_check int match_decide(const struct match_input *input, struct match *ret_match,
			    struct error *err);
void match_done(struct match *match);

/*
 * Whether guest `version` may run on `host`: same branch, the branch before, or the
 * previous long-term-support branch of such a host. ERROR_NO_MATCH with words. Where the
 * host is not known or its branch is none of ours: fits, unless the guest's is later.
 */
must_check int match_fits(const struct host_driver *host, const char *version,
			  struct error *err);

/* The file that a URL names: its last component, without query and fragment. */
struct span match_url_file(const char *url);

const char *match_rule_name(enum match_rule rule);
struct json *match_candidates_json(const struct match *match);
