/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/obstacle.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"

#define ASK_S 60
#define OUTPUT_MAX (64u << 10)
#define FILES_MAX 1024
#define CONF_MAX (1u << 20)
#define NAMES_MAX 65536
#define TEXT_MAX 256
#define DRIVER_FILES_MAX 32
/* NVIDIA's own .deb and .rpm of the guest driver. */
#define OWN_PACKAGES "nvidia-linux-grid-"

void obstacle_read_only(const struct root *root, char *ret_path, size_t size)
{
	static const char *const folders[] = { "/usr", "/lib/modules", "/etc" };

	ret_path[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_fd int fd = root_open_at(root, folders[i], O_RDONLY | O_DIRECTORY,
						 0, &ignored);
		struct statvfs fs;

		if (fd >= 0 && fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY) {
			(void)text_copy(ret_path, size, folders[i]);
			return;
		}
	}
}

static int look_read_only(const struct obstacle_input *input, struct error *err)
{
	char path[64];
	struct stat st;

	obstacle_read_only(input->root, path, sizeof(path));
	if (!path[0])
		return 0;
	(void)error_set(err, ERROR_PERMISSION,
			"%s is mounted read-only: no driver can be put there", path);
	if (root_stat(input->root, "/run/ostree-booted", &st))
		return error_hint(err, "this system is deployed as an image: put the "
				       "driver into the image (a layer of bootc or "
				       "rpm-ostree), then deploy it");
	if (strcmp(input->os->id, "flatcar") == 0)
		return error_hint(err,
				  "this system takes additions as a systemd-sysext: "
				  "bring the driver as one, or lay an overlay over "
				  "%s",
				  path);
	return error_hint(err,
			  "mount %s so that it can be written, or put the driver into "
			  "the image that this guest is made of",
			  path);
}

struct file_list {
	size_t count;
	char paths[DRIVER_FILES_MAX][TEXT_MAX];
};

/* Files that only a driver brings, at the places that distributions give them. */
static const char *const driver_files[] = {
	PATHS_SMI,
	"/usr/bin/nvidia-persistenced",
	"/usr/bin/nvidia-cuda-mps-control",
};

/*
 * Where its libraries lie, under names that hold a version, and the sources that DKMS
 * makes modules of at each new kernel.
 */
static const struct {
	const char *folder, *prefix, *below;
} driver_folders[] = {
	{ "/usr/lib/x86_64-linux-gnu", "libnvidia-ml.so.", "" },
	{ "/usr/lib/x86_64-linux-gnu", "libcuda.so.", "" },
	{ "/usr/lib/x86_64-linux-gnu/nvidia/current", "libnvidia-ml.so.", "" },
	{ "/usr/lib/x86_64-linux-gnu/nvidia/current", "libcuda.so.", "" },
	{ "/usr/lib/aarch64-linux-gnu", "libnvidia-ml.so.", "" },
	{ "/usr/lib/aarch64-linux-gnu", "libcuda.so.", "" },
	{ "/usr/lib64", "libnvidia-ml.so.", "" },
	{ "/usr/lib64", "libcuda.so.", "" },
	{ "/usr/lib64/nvidia", "libnvidia-ml.so.", "" },
	{ "/usr/lib", "libnvidia-ml.so.", "" },
	{ "/usr/lib", "libcuda.so.", "" },
	{ "/usr/lib/nvidia/current", "nvidia-smi", "" }, /* Debian's alternatives */
	{ "/usr/lib/nvidia/bin", "nvidia-smi", "" },     /* Ubuntu's former ones */
	{ "/usr/src", "nvidia-", "/dkms.conf" },
};

static void add_file(const struct root *root, const char *path, struct file_list *files)
{
	struct stat st;

	if (files->count < ARRAY_SIZE(files->paths) && root_stat(root, path, &st) &&
	    text_copy(files->paths[files->count], sizeof(files->paths[0]), path))
		files->count++;
}

static void find_files(const struct root *root, struct file_list *files)
{
	for (size_t i = 0; i < ARRAY_SIZE(driver_files); i++)
		add_file(root, driver_files[i], files);
	for (size_t i = 0; i < ARRAY_SIZE(driver_folders); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_strv char **names = NULL;
		const char *folder = driver_folders[i].folder;

		if (root_list(root, folder, NAMES_MAX, &names, &ignored) < 0)
			continue;
		for (char **name = names; *name; name++) {
			char path[TEXT_MAX];

			if (text_starts(*name, driver_folders[i].prefix) &&
			    text_format(path, sizeof(path), "%s/%s%s", folder, *name,
					driver_folders[i].below))
				add_file(root, path, files);
		}
	}
}

static void add_name(struct span name, char *names, size_t size)
{
	size_t used = strlen(names);
	char one[128];

	if (name.len == 0 || !span_copy(name, one, sizeof(one)) || strstr(names, one))
		return;
	text_sanitize(one);
	(void)text_format(names + used, size - used, "%s%s", used ? ", " : "", one);
}

/* dpkg: "a:amd64, b: /usr/bin/x"; rpm: a name alone. What is nobody's has more words. */
static void read_owners(struct span output, bool dpkg, char *names, size_t size)
{
	struct span line;

	while (span_next_line(&output, &line)) {
		struct span rest = line, one, tail;

		if (span_starts(line, "dpkg-query: ") ||
		    span_starts(line, "diversion ") ||
		    (!dpkg && memchr(line.at, ' ', line.len)))
			continue;
		if (dpkg && line.len > 0) {
			const char *path = memmem(line.at, line.len, ": /", 3);

			if (!path)
				continue;
			rest.len = (size_t)(path - line.at);
		}
		while (rest.len > 0) {
			tail = (struct span){ "", 0 };
			(void)span_split(rest, ',', &one, &tail);
			(void)span_split(span_trim(one), ':', &one, &rest);
			add_name(span_trim(one), names, size);
			rest = tail;
		}
	}
}

int obstacle_owners(struct runner *runner, const struct root *root, char *ret_names,
		    size_t size, struct error *err)
{
	static const struct {
		const char *tool, *words[3];
		int last; /* of the statuses that say how many files are nobody's */
	} owners[] = { { "dpkg-query", { "-S", NULL, NULL }, 1 },
		       { "rpm", { "-qf", "--qf", "%{NAME}\\n" }, RUN_STATUS_MAX } };
	const char *argv[DRIVER_FILES_MAX + 5];
	struct file_list files = { .count = 0 };

	ret_names[0] = '\0';
	find_files(root, &files);
	if (files.count == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(owners) && !ret_names[0]; i++) {
		cleanup(run_result_done) struct run_result result = { 0 };
		struct run run = { .argv = argv,
				   .timeout_s = ASK_S,
				   .output_limit = OUTPUT_MAX };
		size_t count = 1;
		char tool[64];

		argv[0] = tool;
		for (size_t w = 0; w < 3 && owners[i].words[w]; w++)
			argv[count++] = owners[i].words[w];
		for (size_t f = 0; f < files.count; f++)
			argv[count++] = files.paths[f];
		argv[count] = NULL;
		if (!run_find(root, owners[i].tool, tool, sizeof(tool)))
			continue;
		if (run_question(runner, root, &run, owners[i].last, &result, err) < 0)
			return error_prefix(err, "asking whose nvidia's files are");
		read_owners((struct span){ result.output, result.size }, i == 0,
			    ret_names, size);
	}
	return 0;
}

/* Those that the package manager replaces by the new one stay out of the list. */
static void drop_own(char names[static TEXT_MAX])
{
	char all[TEXT_MAX], *save = NULL;

	(void)text_copy(all, sizeof(all), names);
	names[0] = '\0';
	for (const char *name = strtok_r(all, ", ", &save); name;
	     name = strtok_r(NULL, ", ", &save)) {
		if (!text_starts(name, OWN_PACKAGES))
			add_name(span_of(name), names, TEXT_MAX);
	}
}

static int look_packages(const struct obstacle_input *input, struct error *err)
{
	char names[TEXT_MAX];

	if (input->packages == OBSTACLE_PACKAGES_NONE)
		return 0;
	if (obstacle_owners(input->runner, input->root, names, sizeof(names), err) < 0)
		return -1;
	if (input->packages == OBSTACLE_PACKAGES_OTHERS)
		drop_own(names);
	if (!names[0])
		return 0;
	(void)error_set(
		err, ERROR_INSTALL,
		"a driver of the package manager's is in the way, whole or in part: "
		"%s",
		names);
	return error_hint(err, "remove these packages, then run again: %s", names);
}

/* "install nvidia /bin/false" runs that instead; a real command loads it in its own way.
 */
static bool is_nothing(struct span command)
{
	static const char *const nothing[] = { "/bin/false", "/usr/bin/false", "false",
					       "/bin/true",  "/usr/bin/true",  "true",
					       ":",          "/dev/null",      "exit" };
	struct span word, rest;

	(void)span_split(span_trim(command), ' ', &word, &rest);
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
		if (span_equals(word, nothing[i]))
			return true;
	}
	return false;
}

/* What an installation loads, by either spelling: for modprobe they are one. */
static bool is_loaded_by_us(struct span module)
{
	static const char *const modules[] = { "nvidia", "nvidia_uvm", "nvidia-uvm" };

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		if (span_equals(module, modules[i]))
			return true;
	}
	return false;
}

/* "alias nvidia off", however it is spaced. */
static bool masks(struct span line)
{
	char text[TEXT_MAX], *words[3] = { NULL }, *save = NULL;
	struct span command = { "", 0 };

	if (!span_copy(span_trim(line), text, sizeof(text)))
		return false;
	for (size_t i = 0; i < 2; i++)
		words[i] = strtok_r(i == 0 ? text : NULL, " \t", &save);
	if (!words[0] || !words[1] || !is_loaded_by_us(span_of(words[1])))
		return false;
	words[2] = save ? save + strspn(save, " \t") : NULL;
	if (words[2])
		command = span_of(words[2]);
	if (strcmp(words[0], "alias") == 0)
		return span_equals(span_trim(command), "off");
	return strcmp(words[0], "install") == 0 && is_nothing(command);
}

static void read_conf(const struct root *root, const char *path, char *ret_where,
		      size_t size)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, line;
	size_t length;

	if (file_read(root, path, CONF_MAX, &text, &length, &ignored) < 0)
		return;
	rest = (struct span){ text, length };
	while (!ret_where[0] && span_next_line(&rest, &line)) {
		if (masks(line))
			(void)text_format(ret_where, size, "%s: %.*s", path,
					  (int)span_trim(line).len, span_trim(line).at);
	}
	text_sanitize(ret_where);
}

static void read_command_line(const struct root *root, char *ret_where, size_t size)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, word, list, tail;
	size_t length;

	if (file_read(root, "/proc/cmdline", CONF_MAX, &text, &length, &ignored) < 0)
		return;
	rest = span_trim((struct span){ text, length });
	while (rest.len > 0) {
		tail = (struct span){ "", 0 };
		(void)span_split(rest, ' ', &word, &tail);
		rest = tail;
		if (!span_skip(&word, "module_blacklist="))
			continue;
		for (list = word; list.len > 0; list = tail) {
			tail = (struct span){ "", 0 };
			(void)span_split(list, ',', &word, &tail);
			if (is_loaded_by_us(word) && !ret_where[0])
				(void)text_format(ret_where, size,
						  "the kernel's command line: "
						  "module_blacklist=%.*s",
						  (int)word.len, word.at);
		}
		return;
	}
}

void obstacle_masked(const struct root *root, char *ret_where, size_t size)
{
	static const char *const folders[] = { "/etc/modprobe.d", "/run/modprobe.d",
					       "/usr/local/lib/modprobe.d",
					       "/usr/lib/modprobe.d", "/lib/modprobe.d" };

	ret_where[0] = '\0';
	read_command_line(root, ret_where, size);
	for (size_t i = 0; i < ARRAY_SIZE(folders) && !ret_where[0]; i++) {
		struct error ignored = ERROR_INIT;
		cleanup_strv char **names = NULL;

		if (root_list(root, folders[i], FILES_MAX, &names, &ignored) < 0)
			continue;
		for (char **name = names; *name && !ret_where[0]; name++) {
			char path[TEXT_MAX];
			bool hidden = false;

			/* A file of the same name in a folder before this one counts. */
			for (size_t j = 0; j < i && !hidden; j++) {
				struct stat st;

				hidden = text_format(path, sizeof(path), "%s/%s",
						     folders[j], *name) &&
					 root_stat(root, path, &st);
			}
			if (!hidden && text_ends(*name, ".conf") &&
			    text_format(path, sizeof(path), "%s/%s", folders[i], *name))
				read_conf(root, path, ret_where, size);
		}
	}
}

static int look_masked(const struct obstacle_input *input, struct error *err)
{
	char where[TEXT_MAX];

	if (input->offline)
		return 0;
	obstacle_masked(input->root, where, sizeof(where));
	if (!where[0])
		return 0;
	(void)error_set(err, ERROR_INSTALL,
			"a module of the driver is switched off by %s", where);
	return error_hint(err,
			  "take that line out, then run again; modprobe --showconfig "
			  "shows what is in force");
}

/* Ours, and those that the installation unloads or that hold no GPU in the end. */
static bool gives_way(const char *driver)
{
	return !driver[0] || strcmp(driver, "nvidia") == 0 ||
	       strcmp(driver, "nouveau") == 0 || text_starts(driver, "nova") ||
	       strcmp(driver, "NovaCore") == 0;
}

void obstacle_bound(const struct gpu_list *gpus, char *ret_words, size_t size)
{
	ret_words[0] = '\0';
	for (size_t i = 0; i < gpus->count; i++) {
		if (gives_way(gpus->gpus[i].driver)) {
			ret_words[0] = '\0';
			return;
		}
		if (i == 0)
			(void)text_format(ret_words, size,
					  "%s holds the GPU %s: it is kept for a virtual "
					  "machine",
					  gpus->gpus[i].driver, gpus->gpus[i].address);
	}
}

static int look_bound(const struct obstacle_input *input, struct error *err)
{
	char words[128];

	obstacle_bound(input->gpus, words, sizeof(words));
	if (input->offline || !words[0])
		return 0;
	(void)error_set(err, ERROR_INSTALL, "%s", words);
	return error_hint(err,
			  "take it from %s (" OBSTACLE_BOUND_WAYS "), then run again",
			  input->gpus->gpus[0].driver);
}

static const struct {
	const char *name, *absent;
	int (*look)(const struct obstacle_input *input, struct error *err);
} obstacles[] = {
	{ "read_only", "/usr, /lib/modules and /etc can be written", look_read_only },
	{ "packages", "no package owns parts of a driver", look_packages },
	{ "modprobe", "nothing keeps the module nvidia away", look_masked },
	{ "vfio", "not bound", look_bound },
};

const char *obstacle_name(size_t index)
{
	return index < ARRAY_SIZE(obstacles) ? obstacles[index].name : NULL;
}

const char *obstacle_absent(size_t index)
{
	return obstacles[index].absent;
}

int obstacle_look(const struct obstacle_input *input, size_t index, struct error *err)
{
	return obstacles[index].look(input, err);
}
