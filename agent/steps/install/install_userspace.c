/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that runs the package's own installer. */

#include "steps/install/install.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/room.h"
#include "base/text.h"
#include "model/driver/installer_log.h"
#include "steps/driver_files.h"

#define HELP_MAX (1u << 20)
#define ASK_S 60
#define INSTALL_S 1800
#define OPTIONS_MAX 20

static const char *const env[] = { "TMPDIR=" PATHS_INSTALLER, NULL };

/*
 * Without these options nvidia-installer would compile and unload modules, or stop
 * because of something that the agent has checked itself. An option that the installer
 * does not know ends it, so the agent passes only those that the installer's own help
 * names.
 */
static const char *const wanted[] = {
	"--no-nouveau-check",
	"--no-x-check",
	"--no-check-for-alternate-installs",
	"--no-rpms",
	"--no-dkms",
	"--no-kernel-module-source",
	"--no-install-compat32-libs",
	"--no-rebuild-initramfs",
};

/* From 515.43.04 on the help names only the second; both are understood. */
static const char *const without_modules[] = { "--no-kernel-module",
					       "--no-kernel-modules" };

struct options {
	size_t count;
	const char *argv[OPTIONS_MAX];
};

static void options_add(struct options *options, const char *option)
{
	if (options->count < OPTIONS_MAX - 1)
		options->argv[options->count++] = option;
	options->argv[options->count] = NULL;
}

/*
 * Asks the installer's own help which of the wanted options this version knows. Without
 * an option that leaves out kernel modules the installation would compile them: then it
 * ends.
 */
static int choose_options(struct runner *runner, const struct root *root,
			  const char *program, const char *tree, struct options *options,
			  struct error *err)
{
	const char *argv[] = { program, "--advanced-options", NULL };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = {
		.argv = argv,
		.env = env,
		.dir = tree,
		.timeout_s = ASK_S,
		.output_limit = HELP_MAX,
	};
	const char *mode = NULL;
	struct span help;

	if (run_question(runner, root, &run, 0, &result, err) < 0) {
		(void)error_prefix(err, "asking for its options");
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);
	}
	help = (struct span){ .at = result.output, .len = result.size };

	for (size_t i = 0; i < ARRAY_SIZE(without_modules) && !mode; i++) {
		if (installer_log_has_option(help, without_modules[i]))
			mode = without_modules[i];
	}
	if (!mode)
		return error_set(err, ERROR_INSTALL,
				 "%s names no option to leave the kernel modules alone",
				 program);

	*options = (struct options){ .count = 0 };
	options_add(options, program);
	options_add(options, "--silent");
	options_add(options, mode);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (installer_log_has_option(help, wanted[i]))
			options_add(options, wanted[i]);
	}
	options_add(options, "--log-file-name=" DRIVER_FILES_LOG);
	options_add(options, "--tmpdir=" PATHS_INSTALLER);
	return 0;
}

/*
 * Its files are written through a mapping: a disk that is full or fails ends it by this
 * signal. Which of the two it was, the file systems say.
 */
static bool is_write_failed(const struct run_result *result)
{
	return result->signal == SIGBUS || result->status == 128 + SIGBUS;
}

static int explain(const struct root *root, const struct run_result *result,
		   const struct run *run, const char *errors, const char *log_path,
		   struct error *err)
{
	static const char *const folders[] = { "/usr", "/etc", PATHS_CACHE, "/tmp",
					       NULL };
	char how[64];

	(void)run_describe(result, run, how, sizeof(how));
	(void)error_set(err, ERROR_INSTALL, "nvidia-installer: %s%s%s", how,
			errors[0] ? ": " : "", errors);
	if (is_write_failed(result)) {
		(void)error_passing(err, true);
		(void)error_hint(err,
				 "a file could not be written: \"dmesg\" says whether "
				 "the disk fails; then run again: the driver is "
				 "incomplete until then");
	} else if (log_path) {
		(void)error_hint(err, "the installer's whole log is in %s", log_path);
	}
	return room_explain(root, folders, err);
}

/* It syncs nothing: a power cut now would leave files full of zeros. */
static int sync_folders(const struct root *root, struct error *err)
{
	static const char *const folders[] = { "/usr", "/etc", "/var" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (root_sync(root, folders[i], err) < 0)
			return -1;
	}
	return 0;
}

static int run_installer(struct runner *runner, const struct root *root,
			 const struct options *options, const char *tree,
			 struct run_result *ret_result, struct error *err)
{
	struct run run = {
		.argv = options->argv,
		.env = env,
		.dir = tree,
		.timeout_s = INSTALL_S,
		.output_limit = 16384,
	};

	return run_command(runner, root, &run, ret_result, err);
}

/*
 * Runs the installer and reads its log: its exit status does not tell why it failed.
 */
static int install(struct runner *runner, const struct root *root, const char *tree,
		   const char *log_path, int log_fd, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run described = { .timeout_s = INSTALL_S };
	char program[256], errors[400];
	struct options options;

	if (!text_format(program, sizeof(program), "%s/nvidia-installer", tree))
		return error_set(err, ERROR_INTERNAL, "%s is too long", tree);
	if (choose_options(runner, root, program, tree, &options, err) < 0 ||
	    driver_files_begin(runner, root, tree, log_fd, err) < 0 ||
	    driver_files_open_workshop(root, err) < 0 ||
	    run_installer(runner, root, &options, tree, &result, err) < 0)
		return -1;
	driver_files_read_log(root, log_fd, errors, sizeof(errors));
	if (result.status != 0 || result.signal || result.timed_out)
		return explain(root, &result, &described, errors, log_path, err);

	if (!run_find(root, "nvidia-smi", program, sizeof(program)))
		return error_set(
			err, ERROR_INSTALL,
			"nvidia-installer has ended well and left no nvidia-smi");
	return sync_folders(root, err) < 0 ? -1 : driver_files_end(root, err);
}

int install_userspace(struct runner *runner, const struct root *root, const char *tree,
		      const char *log_path, int log_fd, struct error *err)
{
	struct error later = ERROR_INIT;
	int result;

	if (driver_files_open_workshop(root, err) < 0)
		return -1;
	result = install(runner, root, tree, log_path, log_fd, err);
	if (root_remove_tree(root, PATHS_INSTALLER, &later) < 0 && result == 0) {
		*err = later;
		return -1;
	}
	return result;
}
