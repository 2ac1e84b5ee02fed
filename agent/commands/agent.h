/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything one run of the agent knows. Only core/ and cli/ see this struct;
 * the steps get the values they need.
 */

#include <stdbool.h>

#include "base/beside.h"
#include "base/channel.h"
#include "base/root.h"
#include "base/run.h"
#include "core/state.h"
#include "license/query.h"
#include "model/gpu.h"
#include "model/kernel.h"
#include "model/license.h"
#include "model/match.h"
#include "model/modules.h"
#include "model/repository.h"
#include "model/settings.h"
#include "model/transport.h"
#include "steps/detect.h"
#include "steps/fetch.h"
#include "steps/metadata.h"
#include "steps/unpack.h"

#define AGENT_KERNELS_MAX 16
#define AGENT_SETS_MAX 64
#define AGENT_PATH_MAX 4096
#define AGENT_WORKSHOP_MAX 128

/* Which command is at work; a step of the pipeline belongs to some of them. */
enum agent_job {
	AGENT_RUN = 1 << 0,
	AGENT_INSTALL = 1 << 1,
	AGENT_CONFIGURE = 1 << 2,
	AGENT_TOKEN = 1 << 3, /* token install */
	AGENT_FETCH = 1 << 4, /* changes nothing of the system */
	AGENT_SEAL = 1 << 5,
	AGENT_UNINSTALL = 1 << 6,
	AGENT_PREBUILD = 1 << 7, /* build-modules: changes nothing either */
};

/* These work in a folder of their own, of the caller's rights. */
#define AGENT_APART (AGENT_FETCH | AGENT_PREBUILD)

/* What the command line says, for every command. */
struct agent_options {
	const char *config; /* --config, or NULL */
	const char *root;   /* --root, or NULL */
	const char *sysfs;  /* --sysfs, or NULL */
	bool offline;
	const char *sets[AGENT_SETS_MAX]; /* --set PATH=VALUE */
	size_t set_count;
	const char *kernels[AGENT_KERNELS_MAX]; /* --kernel REL */
	size_t kernel_count;
	const char *driver; /* --driver FILE, or NULL */
};

struct agent {
	struct agent_options options;
	struct root root;   /* where the files are */
	struct root caller; /* "/": what the command line names */
	struct root sysfs;  /* holds bus/pci/devices */
	struct root cache;  /* of AGENT_APART, else closed: root has the cache */
	bool offline;       /* no driver to load, no service to start */
	struct runner runner;
	struct channel channel;
	char worker[AGENT_PATH_MAX];

	struct settings base; /* without metadata and --set */
	struct settings settings;
	struct transport transport;
	bool transport_ready;

	enum agent_job job;
	const char *step; /* what it is at, in the contract's words */
	int log_fd;       /* of this run, -1: none */
	char log_path[128];
	char workshop[AGENT_WORKSHOP_MAX]; /* of build-modules: its folder in the root */
	char archive_path[AGENT_PATH_MAX]; /* and its result, the caller's */

	/* Filled in by the steps, in this order. */
	struct gpu_list gpus;
	struct host_driver host;
	bool host_unreadable;
	struct os os;
	struct kernel_list kernels;
	struct detect_driver driver; /* of the running kernel, or of the first target */
	struct state state;
	struct metadata metadata;
	struct repository repository;
	struct match match;
	bool putting_back; /* state.driver is the target: state.installing does not work
			    */
	struct fetch_result package;
	struct unpack_content content;
	char package_path[PACKAGE_NAME_MAX]; /* the .run, .deb or .rpm, inside the root */
	char tree[256];     /* its kernel sources, unpacked or kept; "" for none */
	bool tree_is_whole; /* user space is in the tree too */
	bool open_modules;
	struct beside preparing; /* of the build, while the driver is fetched */
	size_t target_count;     /* kernels that are to have the driver */
	struct kernel targets[AGENT_KERNELS_MAX];
	bool target_done[AGENT_KERNELS_MAX]; /* it has it already */
	struct build_result built[AGENT_KERNELS_MAX];
	bool units_changed;
	bool loaded;    /* the driver, by this run: a daemon older than that saw no GPU */
	bool restarted; /* the daemon, by this run: what was seen before is old */
	int command_token; /* of `token check FILE` and `install FILE`, -1: none */
	const char *command_token_path; /* as it was typed */
	struct query look;              /* how the driver is asked for it */
	struct license_report license;
};

/*
 * An agent with nothing open. Once `cancel_fd` (-1: never) can be read, whatever it waits
 * for ends.
 */
void agent_init(struct agent *ret_agent, const struct agent_options *options,
		int cancel_fd);

/*
 * Opens the roots, finds the worker, reads the configuration files. The state is read
 * when the lock is held: until then another one may write it.
 * agent_close() is fine for an agent that is half open or only initialised.
 */
must_check int agent_open(struct agent *agent, struct error *err);
void agent_close(struct agent *agent);

/* Prepares the transport, once: opens what the section `http` names. */
must_check int agent_need_transport(struct agent *agent, struct error *err);

/* Opens the log file of this run below PATHS_LOGS, once; the last five are kept. */
must_check int agent_need_log(struct agent *agent, struct error *err);
