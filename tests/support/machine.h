/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small machine behind a runner: the commands that bring a driver have their effects on
 * a temporary system root, and any one of them can be made to fail. A package is a file
 * whose text is a driver's version; what a real one does is tests/standin's.
 */

#include "base/run.h"
#include "support/sysroot.h"

#define MACHINE_KERNEL "6.1.0-37-cloud-amd64"
#define MACHINE_OLD "550.90.07"
#define MACHINE_NEW "550.127.05"

enum machine_fault {
	MACHINE_FAILS,  /* exit status 1, without its effect */
	MACHINE_HALF,   /* exit status 1, after its effect */
	MACHINE_CUT_OFF /* the agent is interrupted there: so is all that follows */
};

struct machine {
	struct runner runner; /* hand on &machine.runner */
	const struct sysroot *sysroot;
	unsigned count;   /* of commands so far */
	unsigned fail_at; /* this one, counted from 1, fails; 0: none */
	enum machine_fault fault;
	unsigned broken; /* nvidia-smi of this branch's last digit pair answers nothing */
	const char *no_build; /* versions that do not compile; NULL: each does */
	bool licensed;        /* what nvidia-smi says */
	bool scripts_fail;    /* of packages: they leave no module */
	bool labelled;        /* by restorecon, since an installer wrote files */
	char unpacked[32], flavour[16]; /* of the package that was unpacked last */
	char failed[256];               /* the command that was made to fail */
};

/* A guest with a kernel, its headers, the tools, and no driver. */
void machine_init(struct machine *ret_machine, const struct sysroot *sysroot);

/* Puts a package of this version there; its path is inside the root. */
void machine_add_package(const struct machine *machine, const char *path,
			 const char *version);

/* What is there: version of user space, of the kernel's module, of the loaded one; "". */
#define MACHINE_PACKAGE_MODULE "/lib/modules/" MACHINE_KERNEL "/kernel/nvidia.ko"
const char *machine_user_space(const struct machine *machine);
const char *machine_module(const struct machine *machine);
const char *machine_loaded(const struct machine *machine);
/* "open" or "kernel": the flavour of the kernel's module; "". */
const char *machine_flavour(const struct machine *machine);
