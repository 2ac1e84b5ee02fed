/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/driver_files.h"

#define SELINUXFS "/sys/fs/selinux/enforce"
#define CONFIG "/etc/selinux/config"
#define AUTORELABEL "/.autorelabel"
#define CONFIG_MAX (64u << 10)
#define NAMES_MAX 10000
#define RESTORE_S 300
#define SET_S 1800

struct list {
	char **items; /* ends with NULL */
	size_t count;
};

static void list_done(struct list *list)
{
	text_strv_free(list->items);
}

static int list_add(struct list *list, const char *folder, const char *name,
		    struct error *err)
{
	char **longer = realloc(list->items, (list->count + 2) * sizeof(*longer));

	if (!longer)
		return error_set_errno(err, ENOMEM, "listing files to label");
	list->items = longer;
	longer[list->count] = text_print("%s%s", folder, name);
	longer[list->count + 1] = NULL;
	if (!longer[list->count])
		return error_set_errno(err, ENOMEM, "listing files to label");
	list->count++;
	return 0;
}

/* Thousands of files that only the kernel's package writes; and links to elsewhere. */
static bool is_the_packages(const char *name)
{
	static const char *const names[] = { "build", "kernel", "source" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* What depmod, DKMS and install write below the folder of one kernel. */
static int add_kernel(const struct root *root, const char *release, struct list *list,
		      struct error *err)
{
	cleanup_strv char **names = NULL;
	char folder[512];

	if (!text_format(folder, sizeof(folder), "/lib/modules/%s/", release))
		return error_set_errno(err, ENAMETOOLONG, "labelling %s", release);
	if (root_list(root, folder, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		if (!is_the_packages(*name) && list_add(list, folder, *name, err) < 0)
			return -1;
	}
	return 0;
}

static int add_kernels(const struct root *root, struct list *list, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, "/lib/modules", NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		if (add_kernel(root, *name, list, err) < 0)
			return -1;
	}
	return 0;
}

/* The kept package was renamed from below /var/cache, whose label is another one. */
static const char *const written[] = { "/etc/ld.so.cache", "/etc/modprobe.d",
				       PATHS_NVIDIA,       PATHS_UNIT_FILE,
				       PATHS_UNIT_LINK,    PATHS_GRIDD_STATE,
				       PATHS_STATE,        PATHS_DKMS_REGISTRY };

/* restorecon ends with an error over a path that is not there, whatever -i says. */
static int add_present(const struct root *root, const char *path, struct list *list,
		       struct error *err)
{
	bool there;

	if (root_exists(root, path, &there, err) < 0)
		return -1;
	return there ? list_add(list, path, "", err) : 0;
}

static int add_written(const struct root *root, struct list *list, struct error *err)
{
	cleanup_strv char **installed = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
		if (add_present(root, written[i], list, err) < 0)
			return -1;
	}
	if (driver_files_list(root, &installed, err) < 0)
		return -1;
	for (char **path = installed; *path; path++) {
		if (add_present(root, *path, list, err) < 0)
			return -1;
	}
	return add_kernels(root, list, err);
}

/*
 * As is_selinux_enabled(3) has it: a kernel without a policy mounts its file system too,
 * and gives no file a label.
 */
static int selinux_is_on(const struct root *root, bool *ret_is_on, struct error *err)
{
	bool kernel, system;

	if (root_exists(root, SELINUXFS, &kernel, err) < 0 ||
	    root_exists(root, CONFIG, &system, err) < 0)
		return -1;
	*ret_is_on = kernel && system;
	return 0;
}

int labels_restore(struct runner *runner, const struct root *root, struct error *err)
{
	cleanup(list_done) struct list argv = { NULL, 0 };
	struct run run = { .timeout_s = RESTORE_S };
	char program[128];
	bool is_on;

	if (selinux_is_on(root, &is_on, err) < 0)
		return -1;
	if (!is_on)
		return 0;
	if (!run_find(root, "restorecon", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES,
				 "SELinux is on, and restorecon is not installed");
	if (list_add(&argv, program, "", err) < 0 || list_add(&argv, "-R", "", err) < 0 ||
	    add_written(root, &argv, err) < 0)
		return -1;
	run.argv = (const char *const *)argv.items;
	return run_checked(runner, root, &run, err);
}

/* "SELINUXTYPE=targeted"; false where the key is not there or its value is empty. */
static bool read_key(struct span text, const char *key, char *ret_value, size_t size)
{
	struct span line;
	bool found = false;

	while (span_next_line(&text, &line)) {
		line = span_trim(line);
		if (span_skip(&line, key))
			found = span_copy(span_trim(line), ret_value, size) &&
				ret_value[0];
	}
	return found;
}

/* Where the rules are of the policy that this configuration names; false: of none. */
static bool rules_of(struct span config, char *ret_path, size_t size)
{
	char mode[32], type[64];

	return read_key(config, "SELINUX=", mode, sizeof(mode)) &&
	       strcmp(mode, "disabled") != 0 &&
	       read_key(config, "SELINUXTYPE=", type, sizeof(type)) &&
	       !strchr(type, '/') &&
	       text_format(ret_path, size, "/etc/selinux/%s/contexts/files/file_contexts",
			   type);
}

/* The rules that the image boots with; not there: it boots with none. */
static int find_rules(const struct root *root, char *ret_path, size_t size,
		      bool *ret_there, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t length;

	*ret_there = false;
	if (file_read(root, CONFIG, CONFIG_MAX, &text, &length, &why) < 0) {
		if (why.errnum == ENOENT || why.errnum == ENOTDIR)
			return 0;
		*err = why;
		return -1;
	}
	if (!rules_of((struct span){ text, length }, ret_path, size))
		return 0;
	return root_exists(root, ret_path, ret_there, err);
}

static int set_now(struct runner *runner, const struct root *root, const char *rules,
		   struct error *err)
{
	char program[128];
	const char *const argv[] = { program, "-i",   rules,   "/etc", "/usr",
				     "/var",  "/lib", "/boot", NULL };
	struct run run = { .argv = argv, .timeout_s = SET_S };

	if (!run_find(root, "setfiles", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES,
				 "the image has no setfiles (policycoreutils)");
	/* Labels are set by way of /proc/self/fd. */
	if (!run_has_system(root))
		return error_set(err, ERROR_PREREQUISITES,
				 "/proc and /dev are not mounted in the image");
	return run_checked(runner, root, &run, err);
}

int labels_set_image(struct runner *runner, const struct root *root,
		     struct labels *ret_labels, struct error *err)
{
	struct error why = ERROR_INIT;
	char rules[160];
	bool there;

	if (find_rules(root, rules, sizeof(rules), &there, err) < 0)
		return -1;
	*ret_labels = (struct labels){ .kind = LABELS_NONE };
	if (!there)
		return 0;
	if (set_now(runner, root, rules, &why) == 0) {
		ret_labels->kind = LABELS_SET;
		return 0;
	}
	if (why.interrupted) {
		*err = why;
		return -1;
	}
	if (file_write_atomic(root, AUTORELABEL, "", 0, 0644, err) < 0)
		return -1;
	ret_labels->kind = LABELS_AT_BOOT;
	(void)text_copy(ret_labels->why, sizeof(ret_labels->why), why.text);
	return 0;
}
