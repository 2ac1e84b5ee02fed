/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/build/build.h that lets DKMS build. */

#include "steps/build/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/driver/version.h"
#include "model/kernel/dkms.h"
#include "model/paths.h"
#include "steps/build/build_make.h"
#include "steps/build/build_tree.h"

#define BUILD_S 3600
#define OUTPUT_MAX (64u << 10)
#define LOG_MAX (64u << 20)
#define NAMES_MAX 1000

/* Exit statuses of dkms that say what is missing. */
#define DKMS_NO_DEPENDENCY 13
#define DKMS_NO_HEADERS 21

/* dkms would go wrong silently. */
static int check_system(const struct root *root, struct error *err)
{
	if (run_has_system(root))
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES,
			"DKMS needs /proc and /dev, and they are not mounted here");
	return error_hint(err, "mount them into the image, or leave driver.dkms at "
			       "\"no\"");
}

static int write_conf(const struct root *root, const struct build_input *input,
		      struct error *err)
{
	const char *folder = build_tree_folder(input->open);
	cleanup_strv char **names = NULL;
	cleanup_free char *conf = NULL;
	char path[128];

	text_path(path, sizeof(path), PATHS_DKMS_NEW "/%s", folder);
	if (root_list(root, path, NAMES_MAX, &names, err) < 0)
		return -1;
	conf = dkms_conf(input->version, folder, names);
	if (!conf)
		return error_set(err, ERROR_INTERNAL, "out of memory");
	return file_write_atomic(root, PATHS_DKMS_NEW "/dkms.conf", conf, strlen(conf),
				 0644, err);
}

/* To where they stay, whole or not at all. Where they are already they are left alone. */
static int place_sources(struct runner *runner, const struct root *root,
			 const struct build_input *input, struct error *err)
{
	const char *folder = build_tree_folder(input->open);
	bool ours = build_tree_is_ours(root, input->version);
	char from[256], fresh[128], to[128], sub[160];
	bool there;

	text_path(to, sizeof(to), PATHS_DKMS_SOURCES "%s", input->version);
	text_path(sub, sizeof(sub), "%s/%s", to, folder);
	if (root_exists(root, ours ? sub : to, &there, err) < 0)
		return -1;
	if (ours && there)
		return 0;
	if (there) {
		(void)error_set(err, ERROR_INSTALL,
				"%s, that others put there, is in the way", to);
		return error_hint(
			err,
			"remove it (\"dkms remove nvidia/%s --all\" where it is "
			"registered, then the folder), then run again",
			input->version);
	}

	text_path(fresh, sizeof(fresh), PATHS_DKMS_NEW "/%s", folder);
	if (!text_format(from, sizeof(from), "%s/%s", input->tree, folder))
		return error_set(err, ERROR_INTERNAL, "%s is too long", input->tree);
	if (root_remove_tree(root, PATHS_DKMS_NEW, err) < 0 ||
	    root_mkdir(root, PATHS_DKMS_NEW, 0755, err) < 0 ||
	    build_tree_copy(runner, root, from, fresh, err) < 0 ||
	    write_conf(root, input, err) < 0 ||
	    root_sync(root, PATHS_DKMS_NEW, err) < 0 ||
	    root_remove_tree(root, to, err) < 0)
		return -1;
	return root_rename(root, PATHS_DKMS_NEW, to, err);
}

/* The last file counts, as a shell reads them (dkms(8), framework.conf). */
static bool read_configured(const struct root *root, char *ret_path, size_t size)
{
	static const char folder[] = "/etc/dkms/framework.conf.d";
	struct error ignored = ERROR_INIT;
	cleanup_free char *first = NULL;
	cleanup_strv char **names = NULL;
	size_t length;
	bool found = file_read(root, "/etc/dkms/framework.conf", OUTPUT_MAX, &first,
			       &length, &ignored) == 0 &&
		     dkms_certificate((struct span){ first, length }, ret_path, size);

	if (root_list(root, folder, NAMES_MAX, &names, &ignored) < 0)
		return found;
	for (char **name = names; *name; name++) {
		cleanup_free char *text = NULL;
		char path[256];

		if (text_ends(*name, ".conf") &&
		    text_format(path, sizeof(path), "%s/%s", folder, *name) &&
		    file_read(root, path, OUTPUT_MAX, &text, &length, &ignored) == 0)
			found |= dkms_certificate((struct span){ text, length }, ret_path,
						  size);
	}
	return found;
}

bool build_dkms_certificate(const struct root *root, char *ret_path, size_t size)
{
	static const char *const made[] = { "/var/lib/dkms/mok.pub",
					    "/var/lib/shim-signed/mok/MOK.der" };
	struct stat st;

	if (read_configured(root, ret_path, size))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (root_stat(root, made[i], &st))
			return text_copy(ret_path, size, made[i]);
	}
	return false;
}

static int choose_key(const struct root *root, const struct build_dkms_key *key,
		      struct error *err)
{
	char conf[1024];
	bool changed;

	if (!key->key[0])
		return root_unlink(root, PATHS_DKMS_SIGNING, err);
	if (!dkms_signing(key->key, key->cert, conf, sizeof(conf)))
		return error_set(err, ERROR_USAGE,
				 "DKMS cannot be given this signing.key: %s", key->key);
	if (root_mkdir(root, "/etc/dkms/framework.conf.d", 0755, err) < 0)
		return -1;
	return file_update(root, PATHS_DKMS_SIGNING, span_of(conf), 0644, &changed, err);
}

/* What make said is in a file of DKMS's, and of interest only where it failed. */
static int explain(const struct root *root, const struct build_input *input,
		   const struct run_result *result, const struct run *run,
		   struct error *err)
{
	struct error ignored = ERROR_INIT;
	struct run_result told = *result;
	cleanup_free char *text = NULL;
	char path[160];
	size_t size;

	text_path(path, sizeof(path), PATHS_DKMS_REGISTRY "/%s/build/make.log",
		  input->version);
	if (file_read(root, path, LOG_MAX, &text, &size, &ignored) == 0) {
		told.output = text;
		told.size = size;
		if (input->log_fd > 0 &&
		    file_write_all(input->log_fd, text, size, &ignored) < 0)
			ignored = ERROR_INIT;
	}
	(void)build_make_explain(root, &told, run, "building the kernel modules by DKMS",
				 err);
	if (!result->signal &&
	    (result->status == DKMS_NO_DEPENDENCY || result->status == DKMS_NO_HEADERS))
		return error_recode(err, ERROR_PREREQUISITES);
	if (input->log_path && err->code == ERROR_BUILD && !err->hint[0])
		return error_hint(err, "the whole output of make is in %s",
				  input->log_path);
	return -1;
}

/*
 * "dkms build" for one kernel. DKMS writes the output of make to a log of its own, so
 * its output here is only about DKMS itself.
 */
static int run_dkms(struct runner *runner, const struct root *root,
		    const struct build_input *input, const char *program,
		    struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	char jobs[16];
	const char *argv[] = { program, "build",        "-m", "nvidia",
			       "-v",    input->version, "-k", input->kernel->release,
			       "-j",    jobs,           NULL };
	struct run run = {
		.argv = argv,
		.timeout_s = BUILD_S,
		.output_limit = OUTPUT_MAX,
		.log_fd = input->log_fd,
	};

	(void)text_format(jobs, sizeof(jobs), "%ld", build_make_jobs());
	if (run_command(runner, root, &run, &result, err) < 0)
		return -1;
	if (result.status != 0 || result.signal || result.timed_out)
		return explain(root, input, &result, &run, err);
	return 0;
}

/* dkms may end well and have left nothing. The modules may be compressed. */
static int check_built(const struct root *root, const struct build_input *input,
		       const char *built, struct error *err)
{
	static const char *const endings[] = { "", ".xz", ".gz", ".zst" };
	cleanup_strv char **machines = NULL;
	struct stat st;

	if (root_list(root, built, NAMES_MAX, &machines, err) < 0)
		return -1;
	for (char **machine = machines; *machine; machine++) {
		for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
			char path[256];

			if (text_format(path, sizeof(path), "%s/%s/module/nvidia.ko%s",
					built, *machine, endings[i]) &&
			    root_stat(root, path, &st))
				return build_make_check(root, input, path, err);
		}
	}
	return error_set(err, ERROR_BUILD, "dkms has ended well and left no nvidia.ko");
}

int build_dkms(struct runner *runner, const struct root *root,
	       const struct build_input *input, const struct build_dkms_key *key,
	       struct error *err)
{
	char program[128], built[192];

	/* It becomes part of paths and of a shell's text. */
	if (!version_valid(span_of(input->version)))
		return error_set(err, ERROR_INTERNAL, "registering no version");
	if (!run_find(root, "dkms", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "dkms is not installed");
	if (check_system(root, err) < 0 || choose_key(root, key, err) < 0 ||
	    place_sources(runner, root, input, err) < 0)
		return -1;

	/* What a killed run left half built DKMS takes for built, or refuses to touch. */
	text_path(built, sizeof(built), PATHS_DKMS_REGISTRY "/%s/%s", input->version,
		  input->kernel->release);
	if (root_remove_tree(root, built, err) < 0 ||
	    run_dkms(runner, root, input, program, err) < 0)
		return -1;
	return check_built(root, input, built, err);
}
