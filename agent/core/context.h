/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where a command works and by what means. It is filled in by commands/agent.c before the
 * command begins (the settings once more, when the metadata are known) and is const for
 * everybody else: what a step learns it returns.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "model/paths.h"
#include "model/settings/settings.h"
#include "model/transport.h"

#define CONTEXT_KERNELS_MAX 16
#define CONTEXT_SETS_MAX 64
#define CONTEXT_PATH_MAX 4096

/* Which command is at work; a step of the pipeline belongs to some of them. */
enum job {
	JOB_RUN = 1 << 0,
	JOB_INSTALL = 1 << 1,
	JOB_CONFIGURE = 1 << 2,
	JOB_TOKEN = 1 << 3, /* token install */
	JOB_FETCH = 1 << 4, /* changes nothing of the system */
	JOB_SEAL = 1 << 5,
	JOB_UNINSTALL = 1 << 6,
	JOB_MODULES = 1 << 7, /* build-modules: changes nothing either */
	JOB_ROTATE = 1 << 8,  /* run --token-only: what a new token asks for, no driver */
	JOB_SUPPOSED = 1 << 9, /* plan --host-version: of a guest that is not here */
};

/* These have the caller's rights, and a folder of their own where they fetch: what is
 * installed here is of no interest to them. */
#define JOB_APART (JOB_FETCH | JOB_MODULES | JOB_SUPPOSED)

/* What the command line says, for every command. The texts are the caller's. */
struct options {
	const char *config; /* --config, or NULL */
	const char *root;   /* --root, or NULL */
	const char *sysfs;  /* --sysfs, or NULL */
	bool offline;
	bool unattended; /* of run and install: a unit or a hook calls it */
	const char *sets[CONTEXT_SETS_MAX]; /* --set PATH=VALUE */
	size_t set_count;
	const char *kernels[CONTEXT_KERNELS_MAX]; /* --kernel REL */
	size_t kernel_count;
	const char *driver;       /* --driver FILE, or NULL */
	const char *host_version; /* --host-version VERSION, or NULL */
	bool previous;            /* install --previous */
	const char *sign_command; /* --sign-command PROGRAM, or NULL */
	const char *sign_cert;    /* --sign-cert FILE, or NULL */
};

/* What opens itself at its first use, and is closed by tools_close(). */
struct tools {
	struct runner runner;
	struct channel channel;
	char worker[CONTEXT_PATH_MAX]; /* the paths of both workers */
	char net[CONTEXT_PATH_MAX];
	struct transport transport;
	bool transport_ready;
	int log_fd; /* of this run, -1: none yet */
	char log_path[128];
	const char *step; /* what is at work, in the contract's words: for the progress */
};

struct context {
	const struct options *options;
	enum job job;
	bool offline;         /* no driver to load, no service to start */
	struct root root;     /* where the files are */
	struct root caller;   /* "/": what the command line names */
	struct root sysfs;    /* holds bus/pci/devices */
	struct root cache;    /* of JOB_APART, else closed: then the root has the cache */
	struct settings base; /* without metadata and --set */
	struct settings settings;
	struct tools *tools;
	struct runner *runner;         /* of the tools, as the next one */
	const struct channel *channel; /* to the worker */
};

#define CONTEXT_INIT                            \
	((struct context){ .root = ROOT_INIT,   \
			   .caller = ROOT_INIT, \
			   .sysfs = ROOT_INIT,  \
			   .cache = ROOT_INIT })

/* Where fetched files are kept. */
const struct root *context_cache(const struct context *ctx);

/* The root below which a file lies that this setting names: the caller's, if the command
 * line has set it. */
const struct root *context_root_of(const struct context *ctx, const char *setting);

/* For what only a running guest can do; `what` says why. ERROR_USAGE in an image. */
must_check int context_need_system(const struct context *ctx, const char *what,
				   struct error *err);

/*
 * Opens, at the first call, what the section `http` and driver.index_key name. The
 * transport stays the context's. NULL with `err`, of transport_open().
 */
const struct transport *context_transport(const struct context *ctx, struct error *err);

/* Opens, at the first call, this run's log below PATHS_LOGS; the last five are kept. */
must_check int context_log(const struct context *ctx, struct error *err);

/*
 * Tools that wait for nothing longer than until `cancel_fd` (-1: never) can be read. They
 * may not move in memory afterwards: the channel points into them.
 */
void context_tools_init(struct tools *ret_tools, int cancel_fd);
void context_tools_close(struct tools *tools);
