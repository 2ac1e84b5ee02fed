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

/* The package that a file belongs to; the first word of `argv`'s answer up to `end`. */
static int ask_owner(struct runner *runner, const struct root *root,
		     const char *const *argv, char end, char *ret_name, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = { .argv = argv, .timeout_s = ASK_S, .output_limit = 4096 };
	struct span name, rest, line = { "", 0 };

	if (run_question(runner, root, &run, RUN_STATUS_MAX, &result, err) < 0) {
		(void)error_prefix(err, "finding the package of " PATHS_SMI);
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);
	}
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

/* The package that nvidia-smi belongs to, and who removes it. */
static int find_package(struct manager *manager, enum package_kind kind, char *ret_name,
			struct error *err)
{
	static const char *const ask_dpkg[] = { "/usr/bin/dpkg-query", "-S", PATHS_SMI,
						NULL };
	static const char *const ask_rpm[] = {
		"/usr/bin/rpm",   "-q",      "--qf", "%{NAME}\n",
		"--whatprovides", PATHS_SMI, NULL
	};
	bool deb = kind == PACKAGE_DEB;

	manager->kind = MANAGER_APT;
	if (!deb && !manager_find(manager->root, "dnf", &manager->kind))
		return error_set(err, ERROR_PREREQUISITES,
				 "the driver came as an .rpm, and no package manager "
				 "for it is here");
	return ask_owner(manager->runner, manager->root, deb ? ask_dpkg : ask_rpm,
			 deb ? ':' : ' ', ret_name, err);
}

static bool has_smi(const struct root *root)
{
	char program[128];

	return run_find(root, "nvidia-smi", program, sizeof(program)) != NULL;
}

int remove_driver_judge(struct runner *runner, const struct root *root,
			enum package_kind kind, struct error *err)
{
	struct manager manager = { .runner = runner, .root = root };
	char name[PACKAGE_NAME_SIZE];

	/* A .run's files are found without a package manager. */
	if (kind == PACKAGE_RUN || !has_smi(root))
		return 0;
	if (find_package(&manager, kind, name, err) < 0)
		return -1;
	return manager_need_unlocked(&manager, err);
}

static int remove_package(struct runner *runner, const struct root *root,
			  enum package_kind kind, int log_fd, struct error *err)
{
	struct manager manager = { .runner = runner, .root = root, .log_fd = log_fd };
	char name[PACKAGE_NAME_SIZE];

	if (find_package(&manager, kind, name, err) < 0)
		return -1;
	return manager_remove(&manager, name, err) < 0 ? explain(root, err) : 0;
}

int remove_driver(struct runner *runner, const struct root *root, enum package_kind kind,
		  int log_fd, bool *ret_changed, struct error *err)
{
	bool changed = true;
	int result = 0;

	if (kind == PACKAGE_RUN)
		result = driver_files_remove(runner, root, log_fd, &changed, err);
	else if (!has_smi(root))
		changed = false;
	else
		result = remove_package(runner, root, kind, log_fd, err);
	if (result < 0)
		return -1;
	if (has_smi(root))
		return error_set(err, ERROR_INSTALL,
				 "the driver was removed, but nvidia-smi is still there");
	*ret_changed = changed;
	return 0;
}
