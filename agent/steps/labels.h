/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SELinux's labels of the files that the agent, and the programs that the agent starts,
 * have written. A new file gets the label of its folder, which is the right one for nine
 * of ten files; where no policy is loaded a new file gets none, and a guest that boots
 * from such an image can neither load nor start what has none. SELinux's own programs set
 * the labels; its library is not linked.
 */

#include "base/root.h"
#include "base/run.h"

/*
 * On a running system, after a driver was written and before anything of the driver is
 * loaded or started: restorecon (8) over all that an installation writes. Where SELinux
 * is off nothing is looked at, and no program is started.
 */
must_check int labels_restore(struct runner *runner, const struct root *root,
			      struct error *err);

enum labels_kind {
	LABELS_NONE,    /* the image has no policy, or SELINUX=disabled */
	LABELS_SET,     /* now, by the image's own setfiles and policy */
	LABELS_AT_BOOT, /* by /.autorelabel: the first boot sets them, and boots again */
};

struct labels {
	enum labels_kind kind;
	char why[256]; /* LABELS_AT_BOOT: what kept setfiles from it */
};

/*
 * In an image, after the last file was written: all of /etc, /usr, /var and the like, for
 * a package manager's files have no label either. Labels that are right already are left
 * alone; so are those that an administrator may choose (customizable_types(5)).
 */
must_check int labels_set_image(struct runner *runner, const struct root *root,
				struct labels *ret_labels, struct error *err);
