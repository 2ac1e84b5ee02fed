/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What nvidia-installer has put, or was about to put, in place. Its own record comes
 * after each file, and what uninstalls is among what is removed: so before it works the
 * program, its manifest and what of that is there already are kept, and a note is on the
 * disk until it has ended well. By these whatever was cut off is taken away.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/paths.h"

/*
 * Before the installer of `tree` changes anything; first what an earlier one that was cut
 * off has left of its own goes.
 */
must_check int driver_files_begin(struct runner *runner, const struct root *root,
				  const char *tree, int log_fd, struct error *err);

/* It has ended well: what it was to remove of the driver before, and has not, goes. */
must_check int driver_files_end(const struct root *root, struct error *err);

/*
 * Uninstalls by the kept program, or by nvidia-uninstall, of which a copy is taken; then
 * all goes that it has left of what was installed. Taken up again where it was cut off.
 * Nothing where no driver is.
 */
must_check int driver_files_remove(struct runner *runner, const struct root *root,
				   int log_fd, bool *ret_changed, struct error *err);

/*
 * The paths of the files and links that the installer's record says are installed; an
 * empty list where there is no record. The caller frees it with text_strv_free().
 */
must_check int driver_files_list(const struct root *root, char ***ret_paths,
				 struct error *err);

/*
 * A folder for nvidia-installer's temporary files and its log, which it leaves full; and
 * that log, appended to `log_fd` (0: none), with its errors taken out.
 */
#define DRIVER_FILES_LOG PATHS_INSTALLER "/nvidia-installer.log"
must_check int driver_files_open_workshop(const struct root *root, struct error *err);
void driver_files_read_log(const struct root *root, int log_fd, char *ret_errors,
			   size_t size);
