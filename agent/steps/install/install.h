/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Puts a built driver in place and loads it: the only step that changes the system's
 * driver.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/driver/package.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

/*
 * The package's own nvidia-installer without modules, with the options that it names
 * itself. Its log goes to `log_fd`; `log_path` is that file's name, for the hint.
 * ERROR_INSTALL with the ERROR lines of its log. Death by SIGBUS, and a disk that is full
 * then, are ERROR_PREREQUISITES.
 */
must_check int install_userspace(struct runner *runner, const struct root *root,
				 const char *tree, const char *log_path, int log_fd,
				 struct error *err);

/*
 * Copies the modules there, removes what else is there, runs depmod REL and checks that
 * modprobe will take this very module. Nothing is done where all of it is so already.
 */
must_check int install_modules(struct runner *runner, const struct root *root,
			       const struct kernel *kernel,
			       const struct build_result *build, bool *ret_changed,
			       struct error *err);

/*
 * What build_dkms() built, by "dkms install"; from then on DKMS builds for new kernels,
 * too. Removes PATHS_MODULES of this kernel afterwards and checks that modprobe will
 * take this version. Nothing is done where all of it is so already.
 */
struct install_dkms {
	const char *version, *release;
	int log_fd;
};
must_check int install_dkms(struct runner *runner, const struct root *root,
			    const struct install_dkms *input, bool *ret_changed,
			    struct error *err);

/* nouveau, nova_core and nova_drm must not bind at the next boot. */
must_check int install_blacklist(const struct root *root, bool *ret_changed,
				 struct error *err);

/*
 * Once the modules are in place: an initramfs of a kernel of this system that would still
 * load one of those drivers, or an nvidia.ko that is not the system's of now, is made
 * anew and looked into again. What nobody can look into, and what stays in there all the
 * same, is a warning.
 */
struct install_initramfs {
	bool changed;
	char warning[320]; /* "": none */
};
must_check int install_initramfs(struct runner *runner, const struct root *root,
				 int log_fd, struct install_initramfs *ret_result,
				 struct error *err);

/*
 * Stops what holds the old module, unloads nouveau, nova and another version of nvidia,
 * loads nvidia and nvidia-uvm, each with a time limit; what was stopped is started again
 * also when it failed. ERROR_REBOOT when the old module is in use, ERROR_SECURE_BOOT when
 * the kernel refuses the signature. Nothing is done where the right version is loaded.
 */
must_check int install_load(struct runner *runner, const struct root *root,
			    const char *version, bool *ret_changed, struct error *err);

/*
 * The unit nvidia-gridd.service: provided, and enabled, where the package left none.
 * After a change systemd has to reload its units.
 */
must_check int install_gridd_unit(const struct root *root, bool *ret_changed,
				  struct error *err);

/*
 * .deb by apt-get, .rpm by dnf, from a file; as manager_install() does (base/manager.h).
 * What the package's scripts should have made is for the caller to look for: rpm's
 * managers end well also where a script failed.
 */
struct install_package {
	enum package_kind kind;
	const char *path;
	bool again;   /* where this version is installed already */
	char *script; /* as of struct manager */
	int log_fd;
};
must_check int install_package(struct runner *runner, const struct root *root,
			       const struct install_package *input, struct error *err);

/*
 * Room for `bytes` below /usr and below /lib/modules, asked before any change:
 * ERROR_PREREQUISITES naming the folder.
 */
must_check int install_check_room(const struct root *root, uint64_t bytes,
				  struct error *err);
