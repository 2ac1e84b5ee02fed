/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Takes a driver away again: the counterpart of steps/install/install.h and
 * steps/license/configure.h.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/driver/driver.h"

/*
 * Unloads what is loaded of the driver. False in `ret_gone`: something uses it still, and
 * it stays in memory until a reboot.
 */
must_check int remove_loaded(struct runner *runner, const struct root *root,
			     bool *ret_gone, struct error *err);

/*
 * User space and what else the package has put in place: nvidia-uninstall for a .run; the
 * package manager for the package that is kept at driver->path, or else the one that
 * nvidia-smi belongs to. A .deb whose unpacking was cut off is made whole before, from
 * the kept package. Nothing where it is gone. ERROR_INSTALL with the last words of the
 * one that failed.
 */
must_check int remove_driver(struct runner *runner, const struct root *root,
			     const struct driver *driver, int log_fd, bool *ret_changed,
			     struct error *err);

/*
 * Whether remove_driver() would know how, asked before anything is stopped for its sake:
 * which package it is, that its manager is there, and that no other one is at work.
 */
must_check int remove_driver_judge(struct runner *runner, const struct root *root,
				   const struct driver *driver, struct error *err);

/* Removes PATHS_MODULES of every kernel, then runs depmod for each that had them. */
must_check int remove_modules(struct runner *runner, const struct root *root,
			      bool *ret_changed, struct error *err);

/*
 * All that the agent has registered with DKMS but the version `keep` ("": none stays):
 * modules of every kernel, registration, sources. Where `keep` is "" DKMS signs as it
 * likes again. What others registered stays.
 */
must_check int remove_dkms(struct runner *runner, const struct root *root,
			   const char *keep, int log_fd, bool *ret_changed,
			   struct error *err);

/* The kept sources: DKMS has its own. */
must_check int remove_sources(const struct root *root, bool *ret_changed,
			      struct error *err);

/* The blacklist, the kept sources, the unit where we wrote it. */
must_check int remove_files(struct runner *runner, const struct root *root,
			    bool *ret_changed, struct error *err);

/*
 * gridd.conf as it was before the first change of ours; where there was none and we wrote
 * it none again. By the notes of steps/intent.h; where there is none by `written`, what
 * the state says. The backup stays, so that it can be done twice.
 * `ret_what` is a static text for the report.
 */
must_check int remove_configuration(const struct root *root, bool written,
				    bool *ret_changed, const char **ret_what,
				    struct error *err);

/*
 * Our token, and not one that others have put in its place since; as above by the note,
 * else by `written`. Tokens of others that it displaced come back.
 */
must_check int remove_token(const struct root *root, const char *folder, bool written,
			    bool *ret_changed, struct error *err);
