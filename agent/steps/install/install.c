/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/manager.h"
#include "base/room.h"
#include "base/text.h"
#include "model/paths.h"

/*
 * As NVIDIA's packages have it. Without /var/lib/nvidia the daemon does not start.
 */
static const char gridd_unit[] =
	"# Written by vgpu-guest-agent, because the driver's package left no unit.\n"
	"[Unit]\n"
	"Description=NVIDIA Grid Daemon\n"
	"Wants=network-online.target nvidia-persistenced.service\n"
	"After=systemd-resolved.service network-online.target nss-lookup.target "
	"nvidia-persistenced.service\n"
	"\n"
	"[Service]\n"
	"Type=forking\n"
	"ExecStartPre=/bin/mkdir -p /var/lib/nvidia\n"
	"ExecStart=/usr/bin/nvidia-gridd\n"
	"ExecStopPost=/bin/rm -rf /var/run/nvidia-gridd\n"
	"\n"
	"[Install]\n"
	"WantedBy=multi-user.target\n";

static int has_unit(const struct root *root, bool *ret_has, struct error *err)
{
	static const char *const places[] = {
		"/etc/systemd/system/" PATHS_GRIDD_UNIT,
		PATHS_UNITS "/" PATHS_GRIDD_UNIT,
		"/lib/systemd/system/" PATHS_GRIDD_UNIT,
	};

	*ret_has = false;
	for (size_t i = 0; i < ARRAY_SIZE(places) && !*ret_has; i++) {
		if (root_exists(root, places[i], ret_has, err) < 0)
			return -1;
	}
	return 0;
}

/* What `systemctl enable` would do; it also works in an image, where no systemd runs. */
static int enable_unit(const struct root *root, struct error *err)
{
	if (root_mkdir(root, PATHS_WANTS, 0755, err) < 0)
		return -1;
	cleanup_fd int dir =
		root_open_at(root, PATHS_WANTS, O_RDONLY | O_DIRECTORY, 0, err);
	if (dir < 0)
		return -1;
	if (symlinkat(PATHS_UNITS "/" PATHS_GRIDD_UNIT, dir, PATHS_GRIDD_UNIT) < 0 &&
	    errno != EEXIST)
		return error_set_errno(err, errno, "enabling " PATHS_GRIDD_UNIT);
	return 0;
}

int install_gridd_unit(const struct root *root, bool *ret_changed, struct error *err)
{
	bool changed = false, has;

	if (root_mkdir(root, PATHS_GRIDD_STATE, 0755, err) < 0 ||
	    has_unit(root, &has, err) < 0)
		return -1;
	if (!has) {
		/* Enabled first: what is killed here is taken up, a unit would not be. */
		if (enable_unit(root, err) < 0 ||
		    root_mkdir(root, PATHS_UNITS, 0755, err) < 0)
			return -1;
		if (file_write_atomic(root, PATHS_UNITS "/" PATHS_GRIDD_UNIT, gridd_unit,
				      strlen(gridd_unit), 0644, err) < 0)
			return -1;
		changed = true;
	}
	*ret_changed = changed;
	return 0;
}

int install_package(struct runner *runner, const struct root *root,
		    const struct install_package *input, struct error *err)
{
	static const char *const folders[] = { "/usr",         "/var/lib", "/var/cache",
					       "/lib/modules", "/tmp",     NULL };
	const char *const packages[] = { input->path, NULL };
	struct manager manager = {
		.kind = MANAGER_APT,
		.runner = runner,
		.root = root,
		.log_fd = input->log_fd,
		.replace = true, /* the driver before comes back this way, too */
		.again = input->again,
		.script = input->script,
	};

	if (input->kind != PACKAGE_DEB && input->kind != PACKAGE_RPM)
		return error_set(err, ERROR_INTERNAL, "%s is no package", input->path);
	if (input->kind == PACKAGE_RPM && !manager_find(root, "dnf", &manager.kind))
		return error_set(err, ERROR_PREREQUISITES,
				 "%s is an .rpm, and no package manager for it is here",
				 input->path);
	if (manager_install(&manager, packages, err) == 0)
		return 0;
	if (!err->interrupted && err->errnum == 0 &&
	    (!err->hint[0] || (input->script && input->script[0])))
		(void)error_recode(err, ERROR_INSTALL);
	return room_explain(root, folders, err);
}

int install_check_room(const struct root *root, uint64_t bytes, struct error *err)
{
	if (room_check(root, "/usr", bytes, err) < 0)
		return -1;
	return room_check(root, "/lib/modules", bytes, err);
}
