/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What would make an installation fail for reasons that can be seen before anything is
 * fetched. The same list is what plan shows and what install refuses by.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/gpu.h"
#include "model/kernel/kernel.h"

/* Which packages that own a part of a driver are in the way of the installation. */
enum obstacle_packages {
	OBSTACLE_PACKAGES_NONE,   /* nothing is installed */
	OBSTACLE_PACKAGES_ANY,    /* the agent copies files: a .run */
	OBSTACLE_PACKAGES_OTHERS, /* those that are not the guest driver's own */
};

struct obstacle_input {
	struct runner *runner;
	const struct root *root;
	const struct gpu_list *gpus;
	const struct os *os;
	bool offline; /* nothing is loaded: what only stops a load is no obstacle */
	enum obstacle_packages packages;
};

/* The name of check `index`, as plan calls it; NULL: there are no more. */
const char *obstacle_name(size_t index);

/* What is good about it, for plan. */
const char *obstacle_absent(size_t index);

/* -1 with the error that the installation would end with, and its hint. */
must_check int obstacle_look(const struct obstacle_input *input, size_t index,
			     struct error *err);

/*
 * The packages of the system's own package manager that own nvidia's library or tools,
 * ", " between them; "" for none. dpkg reads the lists of all packages for it: nobody is
 * asked where none of those files is there.
 */
must_check int obstacle_owners(struct runner *runner, const struct root *root,
			       char *ret_names, size_t size, struct error *err);

/*
 * What in modprobe's configuration, or on the kernel's command line, keeps the module
 * nvidia away: "FILE: alias nvidia off"; "" for nothing. A blacklist line does not: who
 * names the module loads it.
 */
void obstacle_masked(const struct root *root, char *ret_where, size_t size);

/* Address of a GPU that vfio-pci holds, where it holds all; "" else. */
void obstacle_vfio(const struct gpu_list *gpus, char *ret_address, size_t size);

/* "/usr" or "/lib/modules", whichever cannot be written; "" for none. */
void obstacle_read_only(const struct root *root, char *ret_path, size_t size);
