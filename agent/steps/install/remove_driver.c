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

static int remove_package(struct runner *runner, const struct root *root,
			  enum manager_kind kind, const char *name, int log_fd,
			  struct error *err)
{
	const struct manager manager = {
		.kind = kind, .runner = runner, .root = root, .log_fd = log_fd
	};

	return manager_remove(&manager, name, err) < 0 ? explain(root, err) : 0;
}

static int remove_deb(struct runner *runner, const struct root *root, int log_fd,
		      struct error *err)
{
	static const char *const ask[] = { "/usr/bin/dpkg-query", "-S", PATHS_SMI, NULL };
	char name[PACKAGE_NAME_SIZE];

	if (ask_owner(runner, root, ask, ':', name, err) < 0)
		return -1;
	return remove_package(runner, root, MANAGER_APT, name, log_fd, err);
}

static int remove_rpm(struct runner *runner, const struct root *root, int log_fd,
		      struct error *err)
{
	static const char *const ask[] = {
		"/usr/bin/rpm",   "-q",      "--qf", "%{NAME}\n",
		"--whatprovides", PATHS_SMI, NULL
	};
	enum manager_kind kind = MANAGER_DNF;
	char name[PACKAGE_NAME_SIZE];

	if (ask_owner(runner, root, ask, ' ', name, err) < 0)
		return -1;
	(void)manager_find(root, "dnf", &kind);
	return remove_package(runner, root, kind, name, log_fd, err);
}

int remove_driver(struct runner *runner, const struct root *root, enum package_kind kind,
		  int log_fd, bool *ret_changed, struct error *err)
{
	bool smi, changed = true;
	char program[128];
	int result = 0;

	smi = run_find(root, "nvidia-smi", program, sizeof(program)) != NULL;
	if (kind == PACKAGE_RUN)
		result = driver_files_remove(runner, root, log_fd, &changed, err);
	else if (!smi)
		changed = false;
	else if (kind == PACKAGE_DEB)
		result = remove_deb(runner, root, log_fd, err);
	else
		result = remove_rpm(runner, root, log_fd, err);
	if (result < 0)
		return -1;
	if (run_find(root, "nvidia-smi", program, sizeof(program)))
		return error_set(err, ERROR_INSTALL,
				 "the driver was removed, but %s is still there",
				 program);
	*ret_changed = changed;
	return 0;
}
