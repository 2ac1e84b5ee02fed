/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/remove.h that takes away the driver itself. */

#include "steps/install/remove.h"

#include <string.h>

#include "base/manager.h"
#include "base/room.h"
#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/driver_files.h"

#define ASK_S 60
#define PACKAGE_NAME_SIZE 128

/*
 * The first word of `argv`'s answer up to `end`: the name of a package. A status of 1 is
 * "" where `may_be_none`.
 */
static int ask_name(const struct manager *manager, const char *const *argv, char end,
		    bool may_be_none, char *ret_name, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = { .argv = argv, .timeout_s = ASK_S, .output_limit = 4096 };
	struct span name, rest, line = { "", 0 };

	ret_name[0] = '\0';
	if (run_question(manager->runner, manager->root, &run, RUN_STATUS_MAX, &result,
			 err) < 0) {
		(void)error_prefix(err, "finding the package of " PATHS_SMI);
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);
	}
	if (result.status == 1 && may_be_none)
		return 0;
	rest = (struct span){ .at = result.output, .len = result.size };
	(void)span_next_line(&rest, &line);
	(void)span_split(line, end, &name, &rest);
	name = span_trim(name);
	if (result.status != 0 || name.len == 0 ||
	    !span_copy(name, ret_name, PACKAGE_NAME_SIZE) || ret_name[0] == '-')
		return error_set(err, ERROR_INSTALL, "finding the package of " PATHS_SMI);
	return 0;
}

static int explain(const struct root *root, struct error *err)
{
	static const char *const folders[] = { "/usr", "/var/lib", "/tmp", NULL };

	if (!err->interrupted && !manager_was_locked(err))
		(void)error_recode(err, ERROR_INSTALL);
	return room_explain(root, folders, err);
}

static bool has_smi(const struct root *root)
{
	char program[128];

	return run_find(root, "nvidia-smi", program, sizeof(program)) != NULL;
}

/*
 * The name that a .deb has in itself: where its unpacking was cut off, none of its files
 * is in dpkg's lists. "" for a package that is not kept.
 */
static int read_name(const struct manager *manager, const char *path, char *ret_name,
		     struct error *err)
{
	const char *const ask[] = { "/usr/bin/dpkg-deb", "--field", path, "Package",
				    NULL };
	bool there = false;

	ret_name[0] = '\0';
	if (path[0] && root_exists(manager->root, path, &there, err) < 0)
		return -1;
	return there ? ask_name(manager, ask, '\n', false, ret_name, err) : 0;
}

/* The package of the driver, "" for none, and who removes it. */
static int find_package(struct manager *manager, const struct driver *driver,
			char *ret_name, struct error *err)
{
	static const char *const ask_dpkg[] = { "/usr/bin/dpkg-query", "-S", PATHS_SMI,
						NULL };
	static const char *const ask_rpm[] = {
		"/usr/bin/rpm",   "-q",      "--qf", "%{NAME}\n",
		"--whatprovides", PATHS_SMI, NULL
	};
	/* As NVIDIA's .debs are called: one that is nearly gone is in no list of files.
	 */
	static const char *const ask_by_name[] = { "/usr/bin/dpkg-query", "--show",
						   "--showformat=${Package}\n",
						   "nvidia-linux-grid-*", NULL };
	bool deb = driver->kind == PACKAGE_DEB, smi = has_smi(manager->root);

	manager->kind = MANAGER_APT;
	ret_name[0] = '\0';
	if (!deb && !manager_find(manager->root, "dnf", &manager->kind))
		return error_set(err, ERROR_PREREQUISITES,
				 "the driver came as an .rpm, and no package manager "
				 "for it is here");
	if (deb && read_name(manager, driver->path, ret_name, err) < 0)
		return -1;
	/* dpkg lists a package's files until the last of them is removed. */
	if (ret_name[0] || (!deb && !smi))
		return 0;
	if (ask_name(manager, deb ? ask_dpkg : ask_rpm, deb ? ':' : ' ', !smi, ret_name,
		     err) < 0)
		return -1;
	return deb && !ret_name[0]
		       ? ask_name(manager, ask_by_name, '\n', true, ret_name, err)
		       : 0;
}

int remove_driver_judge(struct runner *runner, const struct root *root,
			const struct driver *driver, struct error *err)
{
	struct manager manager = { .runner = runner, .root = root };
	char name[PACKAGE_NAME_SIZE];

	/* A .run's files are found without a package manager. */
	if (driver->kind == PACKAGE_RUN)
		return 0;
	if (find_package(&manager, driver, name, err) < 0)
		return -1;
	return name[0] ? manager_need_unlocked(&manager, err) : 0;
}

/*
 * What dpkg knows of a package (dpkg-query(1), "Status"): whether there is anything to
 * remove, and whether its unpacking was cut off.
 */
static int ask_dpkg_state(const struct manager *manager, const char *name,
			  bool *ret_there, bool *ret_half, struct error *err)
{
	const char *const argv[] = { "/usr/bin/dpkg-query", "--show",
				     "--showformat=${Status}", name, NULL };
	struct run run = { .argv = argv, .timeout_s = ASK_S, .output_limit = 4096 };
	cleanup(run_result_done) struct run_result result = { 0 };

	/* 1: a package that dpkg does not know. */
	if (run_question(manager->runner, manager->root, &run, 1, &result, err) < 0)
		return error_prefix(err, "asking dpkg for %s", name);
	*ret_half = result.status == 0 && (strstr(result.output, "half-installed") ||
					   strstr(result.output, "reinstreq"));
	*ret_there = result.status == 0 && !strstr(result.output, "not-installed") &&
		     !strstr(result.output, "config-files");
	return 0;
}

/* Half a package cannot be removed, and dpkg lets apt do nothing else meanwhile. */
static int remove_package(const struct manager *manager, const struct driver *driver,
			  const char *name, bool *ret_changed, struct error *err)
{
	bool there = true, half = false;

	if (driver->kind == PACKAGE_DEB &&
	    ask_dpkg_state(manager, name, &there, &half, err) < 0)
		return -1;
	*ret_changed = there;
	if (!there)
		return 0;
	if (half && driver->path[0] && manager_unpack(manager, driver->path, err) < 0)
		return -1;
	return manager_remove(manager, name, err);
}

static int remove_by_manager(struct runner *runner, const struct root *root,
			     const struct driver *driver, int log_fd, bool *ret_changed,
			     struct error *err)
{
	struct manager manager = { .runner = runner, .root = root, .log_fd = log_fd };
	char name[PACKAGE_NAME_SIZE];

	*ret_changed = false;
	if (find_package(&manager, driver, name, err) < 0)
		return -1;
	if (!name[0])
		return 0;
	return remove_package(&manager, driver, name, ret_changed, err) < 0
		       ? explain(root, err)
		       : 0;
}

int remove_driver(struct runner *runner, const struct root *root,
		  const struct driver *driver, int log_fd, bool *ret_changed,
		  struct error *err)
{
	int result = driver->kind == PACKAGE_RUN
			     ? driver_files_remove(runner, root, log_fd, ret_changed, err)
			     : remove_by_manager(runner, root, driver, log_fd,
						 ret_changed, err);

	if (result < 0)
		return -1;
	if (has_smi(root))
		return error_set(err, ERROR_INSTALL,
				 "the driver was removed, but nvidia-smi is still there");
	return 0;
}
