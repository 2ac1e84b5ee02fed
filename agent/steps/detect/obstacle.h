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
 * What in modprobe's configuration, or on the kernel's command line, keeps a module
 * away that an installation loads (nvidia, nvidia_uvm): "FILE: alias nvidia off"; "" for
 * nothing. A blacklist line does not: who names the module loads it.
 */
void obstacle_masked(const struct root *root, char *ret_where, size_t size);

/*
 * What holds the first GPU, in words, where something else than a graphics driver holds
 * all of them: vfio-pci, pci-stub, whatever it is called; "" else.
 */
void obstacle_bound(const struct gpu_list *gpus, char *ret_words, size_t size);

/* How a GPU is taken from it, for a hint. */
#define OBSTACLE_BOUND_WAYS                                                         \
	"driverctl unset-override, vfio-pci.ids= or pci-stub.ids= on the kernel's " \
	"command line, options in /etc/modprobe.d"

/* "/usr", "/lib/modules" or "/etc", whichever cannot be written; "" for none. */
void obstacle_read_only(const struct root *root, char *ret_path, size_t size);
