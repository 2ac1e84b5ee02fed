/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that unloads and loads kernel modules. */

#include "steps/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/text.h"
#include "steps/detect/module_enforced.h"

#define CALL_S 120
#define UNCALL_S 60
#define START_S 10 /* to queue it */
#define NAMES_MAX 256
#define VALUE_MAX 64

/* In the order in which they can go. */
static const char *const nvidia_modules[] = { "nvidia_drm", "nvidia_modeset",
					      "nvidia_peermem", "nvidia_uvm", "nvidia" };

/* What keeps the device files open. */
static const char *const services[] = {
	"nvidia-gridd.service",         "nvidia-persistenced.service",
	"nvidia-topologyd.service",     "nvidia-fabricmanager.service",
	"nvidia-dcgm.service",          "dcgm.service",
	"nvidia-dcgm-exporter.service", "dcgm-exporter.service",
	"nvidia-mig-manager.service",   "nvidia-imex.service"
};

static const struct {
	const char *module, *driver;
} foreign[] = {
	{ "nouveau", "nouveau" },
	{ "nova_drm", "" }, /* sits on nova_core, binds nothing itself */
	{ "nova_core", "NovaCore" },
};

/* The first line of a file of /sys; false: the file is not there. */
static bool read_value(const struct root *root, const char *path, char *ret_value)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, path, O_RDONLY, 0, &ignored);
	cleanup_free char *text = NULL;
	struct span rest, line = { "", 0 };
	size_t size;

	if (fd < 0 || file_read_fd(fd, 4096, &text, &size, &ignored) < 0)
		return false;
	rest = (struct span){ .at = text, .len = size };
	(void)span_next_line(&rest, &line);
	(void)span_copy(span_trim(line), ret_value, VALUE_MAX);
	return true;
}

/* Only modules that were loaded have a state: built-in ones have none. */
static bool is_loaded(const struct root *root, const char *module)
{
	char path[128];
	struct stat st;

	return text_format(path, sizeof(path), "/sys/module/%s/initstate", module) &&
	       root_stat(root, path, &st);
}

static bool has_version(const struct root *root, const char *version)
{
	char loaded[VALUE_MAX];

	return is_loaded(root, "nvidia") &&
	       read_value(root, "/sys/module/nvidia/version", loaded) &&
	       strcmp(loaded, version) == 0;
}

/* Uses of a module by anything but other modules: open device files, mostly. */
static unsigned long count_users(const struct root *root, const char *module)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **holders = NULL;
	char path[128], value[VALUE_MAX];
	unsigned long users, others = 0;

	text_path(path, sizeof(path), "/sys/module/%s/refcnt", module);
	if (!is_loaded(root, module) || !read_value(root, path, value))
		return 0;
	users = strtoul(value, NULL, 10);
	text_path(path, sizeof(path), "/sys/module/%s/holders", module);
	if (root_list(root, path, NAMES_MAX, &holders, &ignored) < 0)
		return users;
	while (holders[others])
		others++;
	return users > others ? users - others : 0;
}

/* Runs a command of the system; its last line is the text of the error. */
static int call(struct runner *runner, const struct root *root, const char *name,
		const char *first, const char *second, struct error *err)
{
	char program[128];
	const char *argv[] = { program, first, second, NULL };
	struct run run = { .argv = argv, .timeout_s = CALL_S };

	if (!run_find(root, name, program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "%s is not installed", name);
	return run_checked(runner, root, &run, err);
}

/* The services that ran before they were stopped: only these are started again. */
struct stopped {
	bool active[ARRAY_SIZE(services)];
};

static int stop_services(struct runner *runner, const struct root *root,
			 struct stopped *stopped, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		struct error why = ERROR_INIT;

		/* Not known to systemd, not active, no systemd: nothing to stop. */
		if (call(runner, root, "systemctl", "is-active", services[i], &why) < 0) {
			if (!why.interrupted)
				continue;
			*err = why;
			return -1;
		}
		stopped->active[i] = true;
		if (call(runner, root, "systemctl", "stop", services[i], err) < 0)
			return error_prefix(err, "stopping %s", services[i]);
	}
	return 0;
}

/*
 * As it was before, also after a signal. A service that does not start is its own step's
 * concern: nobody waits for it.
 */
static void start_services(struct runner *runner, const struct root *root,
			   const struct stopped *stopped)
{
	int cancel_fd = runner->cancel_fd;

	runner->cancel_fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		char program[128];
		const char *argv[] = { program, "--no-block", "start", services[i],
				       NULL };
		struct run run = { .argv = argv, .timeout_s = START_S };
		struct error ignored = ERROR_INIT;

		if (stopped->active[i] &&
		    run_find(root, "systemctl", program, sizeof(program)) &&
		    run_checked(runner, root, &run, &ignored) < 0)
			continue;
	}
	runner->cancel_fd = cancel_fd;
}

static int refuse_in_use(const char *module, const char *words, struct error *err)
{
	(void)error_set(err, ERROR_REBOOT, "the module %s is in use%s%s", module,
			words[0] ? ": " : "", words);
	return error_hint(err, "end what uses the GPU and run again, or reboot: the new "
			       "driver is in place and loads then");
}

static int unload(struct runner *runner, const struct root *root, const char *module,
		  struct error *err)
{
	struct error why = ERROR_INIT;

	if (!is_loaded(root, module))
		return 0;
	if (call(runner, root, "rmmod", module, NULL, &why) == 0)
		return 0;
	if (why.interrupted || why.code == ERROR_PREREQUISITES) {
		*err = why;
		return -1;
	}
	return refuse_in_use(module, why.text, err);
}

#define GOING_MAX 32

/* Modules in the order in which they can go: whoever holds one goes before it. */
struct going {
	size_t count;
	char names[GOING_MAX][64];
};

static bool going_has(const struct going *going, const char *module)
{
	for (size_t i = 0; i < going->count; i++) {
		if (strcmp(going->names[i], module) == 0)
			return true;
	}
	return false;
}

/*
 * The module after all that hold it, of whomever they are: gdrdrv and nvidia_fs hold
 * nvidia as its own modules do. `depth` ends a circle that only a broken kernel shows.
 */
static int going_add(const struct root *root, const char *module, int depth,
		     struct going *going, struct error *err)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **holders = NULL;
	char path[128];

	if (!is_loaded(root, module) || going_has(going, module))
		return 0;
	if (count_users(root, module) > 0)
		return refuse_in_use(module, "", err);
	if (text_format(path, sizeof(path), "/sys/module/%s/holders", module) &&
	    root_list(root, path, NAMES_MAX, &holders, &ignored) == 0) {
		for (char **holder = holders; *holder; holder++) {
			if (depth < GOING_MAX &&
			    going_add(root, *holder, depth + 1, going, err) < 0)
				return -1;
		}
	}
	if (going->count == GOING_MAX ||
	    !text_copy(going->names[going->count], sizeof(going->names[0]), module))
		return refuse_in_use(module, "too much holds it", err);
	going->count++;
	return 0;
}

/* What went of a driver that stays comes back, as far as it wants to. */
static void load_again(struct runner *runner, const struct root *root,
		       const struct going *going, size_t count)
{
	int cancel_fd = runner->cancel_fd;

	runner->cancel_fd = -1;
	while (count-- > 0) {
		struct error ignored = ERROR_INIT;

		if (call(runner, root, "modprobe", going->names[count], NULL, &ignored) <
		    0)
			continue;
	}
	runner->cancel_fd = cancel_fd;
}

/* All or nothing: half of the modules gone would leave no working driver. */
static int unload_nvidia(struct runner *runner, const struct root *root,
			 struct going *going, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(nvidia_modules); i++) {
		if (going_add(root, nvidia_modules[i], 0, going, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < going->count; i++) {
		if (unload(runner, root, going->names[i], err) < 0) {
			load_again(runner, root, going, i);
			return -1;
		}
	}
	return 0;
}

static bool is_nvidias(const char *module)
{
	for (size_t i = 0; i < ARRAY_SIZE(nvidia_modules); i++) {
		if (strcmp(nvidia_modules[i], module) == 0)
			return true;
	}
	return false;
}

/* Others' modules that went with the old driver, on top of the new one. */
static void load_others(struct runner *runner, const struct root *root,
			const struct going *going)
{
	for (size_t i = going->count; i-- > 0;) {
		struct error ignored = ERROR_INIT;

		if (!is_nvidias(going->names[i]) &&
		    call(runner, root, "modprobe", going->names[i], NULL, &ignored) < 0)
			continue;
	}
}

/*
 * Takes one device from a driver. Through a command, because the driver may hang in it:
 * what is written there is read from a file in memory.
 */
static int unbind(struct runner *runner, const struct root *root, const char *driver,
		  const char *address, struct error *err)
{
	cleanup_fd int fd = memfd_create("address", MFD_CLOEXEC);
	char target[160], program[128];
	const char *argv[] = { program, "if=/proc/self/fd/3", target, "status=none",
			       NULL };
	struct run run = {
		.argv = argv,
		.timeout_s = UNCALL_S,
		.fds = &fd,
		.fd_count = 1,
	};

	if (fd < 0)
		return error_set_errno(err, errno, "unbinding %s", address);
	if (!text_format(target, sizeof(target), "of=/sys/bus/pci/drivers/%s/unbind",
			 driver) ||
	    !run_find(root, "dd", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "dd is not installed");
	if (file_write_all(fd, address, strlen(address), err) < 0)
		return -1;
	return run_checked(runner, root, &run, err);
}

/* All devices from a driver, as far as it lets go of them. */
static int unbind_all(struct runner *runner, const struct root *root, const char *driver,
		      struct error *err)
{
	cleanup_strv char **names = NULL;
	char path[128];

	text_path(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	if (root_list(root, path, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		struct error why = ERROR_INIT;

		/* "0000:06:00.0", beside "bind", "new_id", "module" */
		if (!strchr(*name, ':'))
			continue;
		/* If it stays bound, the unloading says so. */
		if (unbind(runner, root, driver, *name, &why) < 0 && why.interrupted) {
			*err = why;
			return -1;
		}
	}
	return 0;
}

/*
 * Drivers that hold the GPU instead of nvidia's: first from their devices, then out of
 * the kernel, which refuses a module that is in use.
 */
static int unload_foreign(struct runner *runner, const struct root *root, bool *changed,
			  struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		if (!is_loaded(root, foreign[i].module))
			continue;
		if (foreign[i].driver[0] &&
		    unbind_all(runner, root, foreign[i].driver, err) < 0)
			return -1;
		if (unload(runner, root, foreign[i].module, err) < 0)
			return -1;
		*changed = true;
	}
	return 0;
}

/*
 * modprobe, with the reason of a refusal in words that say what to do: a module that is
 * not signed as the kernel wants it, a GPU that this driver does not support.
 */
static int load(struct runner *runner, const struct root *root, const char *module,
		struct error *err)
{
	struct module_enforced enforced;

	if (call(runner, root, "modprobe", module, NULL, err) == 0)
		return 0;
	if (err->interrupted || err->code == ERROR_PREREQUISITES)
		return -1;
	enforced = module_enforced(root);

	(void)error_prefix(err, "loading %s", module);
	(void)error_recode(err, ERROR_INSTALL);
	if (strstr(err->text, "Key was rejected") ||
	    strstr(err->text, "Required key not available") ||
	    /* All that a kernel says that is locked down. */
	    (strstr(err->text, "Operation not permitted") &&
	     enforced.answer == MODULE_YES)) {
		(void)error_recode(err, ERROR_SECURE_BOOT);
		return module_enforced_hint(&enforced, err);
	}
	if (strstr(err->text, "No such device"))
		return error_hint(err,
				  "this driver supports no GPU of this guest, or its "
				  "version does not fit the host's: see the kernel's "
				  "log");
	return error_hint(err, "see the kernel's log");
}

/*
 * Another version out, ours in. The kernel's own word is compared afterwards: modprobe
 * may have found another module of this name.
 */
static int exchange(struct runner *runner, const struct root *root, const char *version,
		    struct error *err)
{
	struct going going = { .count = 0 };
	char loaded[VALUE_MAX];

	if (!has_version(root, version) && unload_nvidia(runner, root, &going, err) < 0)
		return -1;
	if (load(runner, root, "nvidia", err) < 0 ||
	    load(runner, root, "nvidia-uvm", err) < 0)
		return -1;
	if (read_value(root, "/sys/module/nvidia/version", loaded) &&
	    strcmp(loaded, version) != 0)
		return error_set(err, ERROR_INSTALL,
				 "modprobe has loaded driver %s instead of %s", loaded,
				 version);
	load_others(runner, root, &going);
	return 0;
}

int install_load(struct runner *runner, const struct root *root, const char *version,
		 bool *ret_changed, struct error *err)
{
	struct stopped stopped = { .active = { false } };
	bool changed = false;
	int result;

	if (unload_foreign(runner, root, &changed, err) < 0)
		return -1;
	if (has_version(root, version) && is_loaded(root, "nvidia_uvm")) {
		*ret_changed = changed;
		return 0;
	}

	result = 0;
	if (is_loaded(root, "nvidia") && !has_version(root, version))
		result = stop_services(runner, root, &stopped, err);
	if (result == 0)
		result = exchange(runner, root, version, err);
	start_services(runner, root, &stopped);
	if (result == 0)
		*ret_changed = true;
	return result;
}
