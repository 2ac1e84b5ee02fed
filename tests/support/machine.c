/* SPDX-License-Identifier: Apache-2.0 */
#include "support/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/module.h"
#include "support/smi_report.h"

#define USER_SPACE "/usr/lib/driver-version" /* what the installer leaves, in short */
#define PLACE "/lib/modules/" MACHINE_KERNEL "/" PATHS_MODULES
#define MODULE PLACE "/nvidia.ko"
#define BY_PACKAGE MACHINE_PACKAGE_MODULE

static const char *text_of(const struct machine *machine, const char *path)
{
	static char texts[4][4096];
	static unsigned next;
	char *text = texts[next++ % 4];
	struct error ignored = ERROR_INIT;
	cleanup_free char *found = NULL;
	size_t size;

	text[0] = '\0';
	if (file_read(&machine->sysroot->root, path, 4095, &found, &size, &ignored) == 0)
		(void)snprintf(text, sizeof(texts[0]), "%.*s", (int)strcspn(found, "\n"),
			       found);
	return text;
}

static void write_program(const struct sysroot *sysroot, const char *path,
			  const char *text)
{
	char full[512];

	sysroot_write(sysroot, path, text);
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static bool is_there(const struct machine *machine, const char *path)
{
	struct stat st;

	return root_stat(&machine->sysroot->root, path, &st);
}

const char *machine_user_space(const struct machine *machine)
{
	return text_of(machine, USER_SPACE);
}

/* The version stands behind the module's own bytes, beside it. */
const char *machine_module(const struct machine *machine)
{
	return is_there(machine, MODULE)       ? text_of(machine, PLACE "/nvidia-drm.ko")
	       : is_there(machine, BY_PACKAGE) ? text_of(machine, BY_PACKAGE)
					       : "";
}

const char *machine_loaded(const struct machine *machine)
{
	return text_of(machine, "/sys/module/nvidia/version");
}

const char *machine_flavour(const struct machine *machine)
{
	return is_there(machine, MODULE) ? text_of(machine, PLACE "/nvidia-uvm.ko") : "";
}

void machine_add_package(const struct machine *machine, const char *path,
			 const char *version)
{
	sysroot_write(machine->sysroot, path, version);
}

/* sh PACKAGE --extract-only --target DIR */
static void extract(struct machine *machine, const struct run *run)
{
	const char *dir = run->argv[4];
	char path[512];

	(void)snprintf(machine->unpacked, sizeof(machine->unpacked), "%s",
		       text_of(machine, run->argv[1]));
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir,
			       i ? "kernel-open" : "kernel");
		sysroot_mkdir(machine->sysroot, path);
		(void)snprintf(path, sizeof(path), "%s/%s/Makefile", dir,
			       i ? "kernel-open" : "kernel");
		sysroot_write(machine->sysroot, path, "modules:\n");
	}
	(void)snprintf(path, sizeof(path), "%s/nvidia-installer", dir);
	write_program(machine->sysroot, path, machine->unpacked);
	(void)snprintf(path, sizeof(path), "%s/.manifest", dir);
	sysroot_write(machine->sysroot, path, "");
}

/* cp -R ... FROM/. TO, which is there */
static void copy(struct machine *machine, const struct run *run)
{
	const char *from = "", *to = "";
	char path[512];

	for (size_t i = 1; run->argv[i]; i++) {
		from = to;
		to = run->argv[i];
	}
	if (strstr(from, "/kernel"))
		(void)snprintf(machine->flavour, sizeof(machine->flavour), "%s",
			       strstr(from, "/kernel-open") ? "open" : "kernel");
	(void)snprintf(path, sizeof(path), "%s/Makefile", to);
	sysroot_write(machine->sysroot, path, "modules:\n");
}

/* make -C DIR modules ...: nvidia.ko, and two files that say what it is */
static char *make(struct machine *machine, const struct run *run, int *ret_status)
{
	const struct module module = { MACHINE_KERNEL
				       " SMP preempt mod_unload modversions ",
				       machine->unpacked, NULL, NULL };
	char path[512];

	if (machine->no_build && strstr(machine->no_build, machine->unpacked)) {
		*ret_status = 2;
		return strdup("nv-pci.c:230:5: error: too few arguments\n");
	}
	(void)snprintf(path, sizeof(path), "%s/nvidia.ko", run->argv[2]);
	module_write(machine->sysroot, path, &module);
	(void)snprintf(path, sizeof(path), "%s/nvidia-drm.ko", run->argv[2]);
	sysroot_write(machine->sysroot, path, machine->unpacked);
	(void)snprintf(path, sizeof(path), "%s/nvidia-uvm.ko", run->argv[2]);
	sysroot_write(machine->sysroot, path, machine->flavour);
	return strdup("");
}

static void install_user_space(struct machine *machine, const char *version)
{
	write_program(machine->sysroot, PATHS_SMI, "");
	write_program(machine->sysroot, PATHS_GRIDD, "");
	sysroot_write(machine->sysroot, USER_SPACE, version);
	machine->labelled = false;
}

/* SELinux is on, and does not know what was written. */
static bool is_denied(const struct machine *machine)
{
	return !machine->labelled && is_there(machine, "/sys/fs/selinux/enforce");
}

static void load(struct machine *machine, const char *module)
{
	const char *version = machine_module(machine);
	bool uvm = strcmp(module, "nvidia") != 0;
	char dir[128], path[160];

	(void)snprintf(dir, sizeof(dir), "/sys/module/nvidia%s", uvm ? "_uvm" : "");
	if (!version[0] || is_there(machine, dir))
		return;
	(void)snprintf(path, sizeof(path), "%s/holders", dir);
	sysroot_mkdir(machine->sysroot, path);
	(void)snprintf(path, sizeof(path), "%s/initstate", dir);
	sysroot_write(machine->sysroot, path, "live\n");
	(void)snprintf(path, sizeof(path), "%s/refcnt", dir);
	sysroot_write(machine->sysroot, path, "0\n");
	if (!uvm)
		sysroot_write(machine->sysroot, "/sys/module/nvidia/version", version);
}

static void unload(struct machine *machine, const char *module)
{
	struct error err = ERROR_INIT;
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/module/%s", module);
	assert_int_equal(root_remove_tree(&machine->sysroot->root, path, &err), 0);
}

/*
 * apt-get ... install PACKAGE: everything of it, by its own scripts. As rpm's managers do
 * it ends well where the scripts fail, and where this version is installed already, whole
 * or not, nothing is done but by name.
 */
static char *install_package(struct machine *machine, const struct run *run)
{
	bool again = false;

	for (size_t i = 1; run->argv[i]; i++) {
		const char *version = text_of(machine, run->argv[i]);

		again |= strcmp(run->argv[i], "--reinstall") == 0;
		if (strncmp(run->argv[i], "/", 1) != 0 || !version[0])
			continue;
		if (!again && strcmp(machine_user_space(machine), version) == 0)
			return strdup("Nothing to do.\n");
		install_user_space(machine, version);
		if (machine->scripts_fail)
			return strdup("Error! Bad return status for module build\n"
				      "warning: %post(x) scriptlet failed, exit "
				      "status 10\n");
		sysroot_write(machine->sysroot, BY_PACKAGE, version);
	}
	return strdup("");
}

/* Of a driver whose module is not loaded, or is another one's, it answers nothing. */
static char *smi(struct machine *machine, int *ret_status)
{
	const char *version = machine_user_space(machine);

	*ret_status = strcmp(version, machine_loaded(machine)) != 0 ||
		      (machine->broken && strstr(version, MACHINE_NEW));
	return *ret_status ? strdup("NVIDIA-SMI has failed because it couldn't "
				    "communicate with the NVIDIA driver.\n")
			   : smi_report_vgpus(1, 1,
					      machine->licensed
						      ? "Licensed (Expiry: N/A)"
						      : "Unlicensed (Unrestricted)");
}

static const char *modinfo(const struct machine *machine, const struct run *run)
{
	const char *field = run->argv[4];

	if (strcmp(field, "filename") == 0)
		return is_there(machine, MODULE)       ? MODULE "\n"
		       : is_there(machine, BY_PACKAGE) ? BY_PACKAGE "\n"
						       : "";
	return strcmp(field, "version") == 0 ? machine_module(machine) : "";
}

/* Its words and its status. */
static char *act(struct machine *machine, const struct run *run, int *ret_status)
{
	const char *program = strrchr(run->argv[0], '/') + 1;

	if (strcmp(program, "sh") == 0)
		extract(machine, run);
	else if (strcmp(program, "cp") == 0)
		copy(machine, run);
	else if (strcmp(program, "make") == 0 && strcmp(run->argv[1], "-C") == 0)
		return make(machine, run, ret_status);
	else if (strcmp(program, "nvidia-installer") == 0 &&
		 strcmp(run->argv[1], "--advanced-options") == 0)
		return strdup("  --silent\n  --no-kernel-modules\n");
	else if (strcmp(program, "nvidia-installer") == 0 &&
		 strcmp(run->argv[1], "--silent") == 0)
		install_user_space(machine, text_of(machine, run->argv[0]));
	else if (strcmp(program, "modprobe") == 0 && is_denied(machine))
		*ret_status = 1;
	else if (strcmp(program, "modprobe") == 0)
		load(machine, run->argv[1]);
	else if (strcmp(program, "restorecon") == 0)
		machine->labelled = true;
	else if (strcmp(program, "rmmod") == 0)
		unload(machine, run->argv[1]);
	else if (strcmp(program, "apt-get") == 0)
		return install_package(machine, run);
	else if (strcmp(program, "nvidia-smi") == 0)
		return smi(machine, ret_status);
	else if (strcmp(program, "modinfo") == 0)
		return strdup(modinfo(machine, run));
	else if (strcmp(program, "dpkg-query") == 0)
		*ret_status = 1;
	else if (strcmp(program, "gcc-12") == 0)
		return strdup("12\n");
	return strdup("");
}

static int start(struct runner *runner, const struct root *root, const struct run *run,
		 struct run_result *ret_result, struct error *err)
{
	struct machine *machine = (struct machine *)runner;
	bool fails = ++machine->count == machine->fail_at;
	int status = 0;
	char *output;

	(void)root;
	if (fails || (machine->fail_at && machine->count > machine->fail_at &&
		      machine->fault == MACHINE_CUT_OFF)) {
		if (fails)
			(void)snprintf(machine->failed, sizeof(machine->failed), "%s %s",
				       run->argv[0], run->argv[1] ? run->argv[1] : "");
		if (machine->fault == MACHINE_CUT_OFF)
			return error_set_interrupted(err);
		if (machine->fault == MACHINE_HALF)
			free(act(machine, run, &status));
		*ret_result = (struct run_result){ .status = 1, .output = strdup("") };
		return 0;
	}
	output = act(machine, run, &status);
	assert_non_null(output);
	*ret_result = (struct run_result){ .status = status,
					   .output = output,
					   .size = strlen(output) };
	return 0;
}

void machine_init(struct machine *ret_machine, const struct sysroot *sysroot)
{
	static const char *const programs[] = {
		"/usr/bin/make",       "/usr/bin/gcc-12",     "/usr/bin/strip",
		"/usr/sbin/depmod",    "/usr/sbin/modinfo",   "/usr/sbin/modprobe",
		"/usr/sbin/rmmod",     "/usr/bin/ld",         "/usr/bin/apt-get",
		"/usr/bin/dpkg-query", "/usr/sbin/restorecon"
	};
	static const char *const folders[] = {
		"/usr/bin",
		"/usr/sbin",
		"/usr/lib",
		"/usr/include",
		"/etc",
		"/sys/module",
		"/proc",
		"/run",
		"/boot",
		PATHS_UNITS,
		PATHS_WANTS,
		PATHS_STATE,
		PATHS_CACHE,
		"/lib/modules/" MACHINE_KERNEL "/build/include/config",
		"/lib/modules/" MACHINE_KERNEL "/kernel",
		"/usr/lib/gcc/x86_64-linux-gnu/12",
	};

	*ret_machine = (struct machine){ .runner = { .start = start, .cancel_fd = -1 },
					 .sysroot = sysroot };
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		sysroot_mkdir(sysroot, folders[i]);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		write_program(sysroot, programs[i], "");
	sysroot_write(sysroot, "/usr/include/stdio.h", "");
	sysroot_write(sysroot, "/lib/modules/" MACHINE_KERNEL "/build/Makefile", "");
	sysroot_write(sysroot,
		      "/lib/modules/" MACHINE_KERNEL "/build/include/config/auto.conf",
		      "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n");
}
