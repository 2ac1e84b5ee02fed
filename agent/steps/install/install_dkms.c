/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that lets DKMS put kernel modules in place. */

#include "steps/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/text.h"
#include "model/kernel/dkms.h"
#include "model/paths.h"
#include "steps/depmod.h"
#include "steps/detect/module_chosen.h"

#define INSTALL_S 3600 /* it builds where something has taken the registration away */
#define STATUS_S 120
#define OUTPUT_MAX (64u << 10)
#define CONF_MAX (64u << 10)

struct place {
	const char *version, *release;
	char program[128]; /* dkms */
	char ours[160];    /* the agent's own modules for this kernel */
};

/* Says so in the sources' dkms.conf, once. */
static int make_live(const struct root *root, const char *version, struct error *err)
{
	cleanup_free char *conf = NULL, *live = NULL;
	char path[128];
	size_t size;

	text_path(path, sizeof(path), PATHS_DKMS_SOURCES "%s/dkms.conf", version);
	if (file_read(root, path, CONF_MAX, &conf, &size, err) < 0)
		return -1;
	if (strstr(conf, DKMS_LIVE))
		return 0;
	live = text_print("%s" DKMS_LIVE, conf);
	if (!live)
		return error_set_errno(err, ENOMEM, "writing %s", path);
	return file_write_atomic(root, path, live, strlen(live), 0644, err);
}

static int ask_status(struct runner *runner, const struct root *root,
		      const struct place *place, bool *ret_installed, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	const char *argv[] = { place->program, "status", "-m",           "nvidia", "-v",
			       place->version, "-k",     place->release, NULL };
	struct run run = { .argv = argv,
			   .timeout_s = STATUS_S,
			   .output_limit = OUTPUT_MAX };
	struct span output;

	/* Of a module that it does not know DKMS may end with any status of its own. */
	if (run_question(runner, root, &run, RUN_STATUS_MAX, &result, err) < 0)
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);
	output = (struct span){ .at = result.output, .len = result.size };
	*ret_installed = dkms_is_installed(output, place->version, place->release);
	return 0;
}

/* By force, because DKMS takes what the agent itself has put there for the kernel's own.
 */
static int run_install(struct runner *runner, const struct root *root,
		       const struct place *place, int log_fd, struct error *err)
{
	const char *argv[] = {
		place->program, "install", "-m",           "nvidia",  "-v",
		place->version, "-k",      place->release, "--force", NULL
	};
	static const char *const folders[] = { "/lib/modules", PATHS_DKMS_REGISTRY,
					       "/tmp", NULL };
	struct run run = {
		.argv = argv,
		.timeout_s = INSTALL_S,
		.log_fd = log_fd,
		.output_limit = OUTPUT_MAX,
	};
	bool installed = false;

	if (run_checked(runner, root, &run, err) < 0) {
		if (!err->interrupted)
			(void)error_recode(err, ERROR_INSTALL);
		return room_explain(root, folders, err);
	}
	if (ask_status(runner, root, place, &installed, err) < 0)
		return -1;
	if (!installed)
		return error_set(err, ERROR_INSTALL,
				 "dkms install has ended well, and dkms status does not "
				 "say that nvidia/%s is installed for kernel %s",
				 place->version, place->release);
	return 0;
}

/* Outside Debian's family DKMS has kept ours, and would put it back one day. */
static int remove_ours(const struct root *root, const struct place *place,
		       struct error *err)
{
	char kept[192];

	text_path(kept, sizeof(kept), PATHS_DKMS_REGISTRY "/original_module/%s",
		  place->release);
	if (root_remove_tree(root, kept, err) < 0)
		return -1;
	return root_remove_tree(root, place->ours, err);
}

/* depmod has rules of its own, and others may have a module of this name. */
static int check_chosen(struct runner *runner, const struct root *root,
			const struct place *place, struct error *err)
{
	char value[MODULE_CHOSEN_MAX];

	if (module_chosen(runner, root, place->release, "version", value, err) < 0)
		return -1;
	if (strcmp(value, place->version) == 0)
		return 0;
	if (module_chosen(runner, root, place->release, "filename", value, err) < 0)
		return -1;
	(void)error_set(err, ERROR_INSTALL, "modprobe would load %s for kernel %s",
			value[0] ? value : "no nvidia module", place->release);
	return value[0] ? error_hint(err, "remove that module, it is in the way: %s",
				     value)
			: -1;
}

static bool is_done(struct runner *runner, const struct root *root,
		    const struct place *place)
{
	struct error ignored = ERROR_INIT;
	bool installed = false;
	struct stat st;

	return !root_stat(root, place->ours, &st) &&
	       ask_status(runner, root, place, &installed, &ignored) == 0 && installed &&
	       check_chosen(runner, root, place, &ignored) == 0;
}

int install_dkms(struct runner *runner, const struct root *root,
		 const struct install_dkms *input, bool *ret_changed, struct error *err)
{
	struct place place = { .version = input->version, .release = input->release };
	bool there;

	if (!run_find(root, "dkms", place.program, sizeof(place.program)))
		return error_set(err, ERROR_PREREQUISITES, "dkms is not installed");
	text_path(place.ours, sizeof(place.ours), "/lib/modules/%s/%s", input->release,
		  PATHS_MODULES);
	if (make_live(root, input->version, err) < 0)
		return -1;
	if (is_done(runner, root, &place)) {
		*ret_changed = false;
		return 0;
	}

	if (run_install(runner, root, &place, input->log_fd, err) < 0)
		return -1;
	if (root_exists(root, place.ours, &there, err) < 0 ||
	    (there && remove_ours(root, &place, err) < 0))
		return -1;
	if (depmod_run(runner, root, input->release, err) < 0 ||
	    check_chosen(runner, root, &place, err) < 0)
		return -1;
	*ret_changed = true;
	return 0;
}
