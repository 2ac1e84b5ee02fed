/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One undertaking: which driver is to be brought to which kernels, and how far that is.
 * The way back, where the undertaking fails, is another one.
 */

#include "base/beside.h"
#include "core/guest.h"
#include "model/driver/driver.h"
#include "model/driver/match.h"
#include "model/kernel/modules.h"
#include "steps/fetch/fetch.h"
#include "steps/fetch/unpack.h"

struct target {
	struct kernel kernel;
	bool done;    /* it has the driver's modules already */
	bool refused; /* it has, and would not take them: driver/in_place.h */
	struct build_result built; /* the modules made for it; count 0: none */
};

struct work {
	const struct guest *guest; /* for which it is; stays the caller's */
	bool dkms_wanted;          /* driver.dkms, where it can count */
	struct match match;        /* what the rules say: rule, file, candidates */
	struct driver driver;      /* what is to be installed, or is and stays */
	bool way_back; /* `driver` is the one before, since another does not work */
	bool recorded; /* `driver` is one of the state's: its modules keep their flavour
			*/
	struct fetch_result file;      /* the file that was fetched */
	struct unpack_content content; /* and what it holds */
	char tree[256];      /* the kernel sources, unpacked or kept; "": none */
	bool whole;          /* the tree has the user space, too */
	struct beside ahead; /* what the build needs is installed while we fetch */
	size_t target_count;
	struct target targets[CONTEXT_KERNELS_MAX];
};

#define WORK_INIT ((struct work){ .file = FETCH_RESULT_INIT })

/* An undertaking for this guest's targets; nothing is decided yet. */
void work_begin(const struct context *ctx, const struct guest *guest,
		struct work *ret_work);
void work_done(struct work *work);

/*
 * The way back of `work`: the same targets, and `driver`, of whose modules nothing is
 * known. It has nothing that work_done() would have to release.
 */
void work_back(const struct work *work, const struct driver *driver,
	       struct work *ret_back);

/*
 * Marks the targets that have the modules of this version already, from where they are
 * wanted: DKMS's place or ours. `installed` is what the first target has, as far as that
 * is known; NULL: it is looked at, too.
 */
must_check int work_look_at_targets(const struct context *ctx,
				    const struct detect_driver *installed,
				    const char *version, struct work *work,
				    struct error *err);
/* False, too, where there is no target: of none, nothing is done. */
bool work_targets_done(const struct work *work);

/* ERROR_PREREQUISITES where there is no kernel to bring the driver to. */
must_check int work_need_target(const struct work *work, struct error *err);

/* A .deb or .rpm, which compiles its modules in its own scripts. */
bool work_is_package(const struct work *work);

/*
 * Whether DKMS builds the modules: what brings its own scripts brings its own DKMS. Only
 * after the choice is the kind of the driver known.
 */
bool work_by_dkms(const struct work *work);

/* A driver of the guest stays: there is nothing to fetch. */
bool work_keeps_installed(const struct work *work);
