/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/detect.h that looks at the driver that is there. */

#include "steps/detect.h"

#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/version.h"

#define TIMEOUT_S 30
#define OUTPUT_MAX 4096
#define SMI "/usr/bin/nvidia-smi"
#define GRIDD "/usr/bin/nvidia-gridd"

static bool is_version(struct span line)
{
	return version_valid(line);
}

static bool is_path(struct span line)
{
	return span_starts(line, "/");
}

/* The newest line of that form; warnings of the command stand in the same output. */
static void take_line(const struct run_result *result, bool (*is_it)(struct span line),
		      char *ret_text, size_t size)
{
	struct span rest = { result->output, result->size }, line;

	while (span_next_line(&rest, &line)) {
		if (is_it(line))
			(void)span_copy(line, ret_text, size);
	}
}

/* Fields of the module that modprobe would take; "" where there is none. */
static int read_module(struct runner *runner, const struct root *root,
		       const char *release, struct detect_driver *driver,
		       struct error *err)
{
	const struct {
		const char *name;
		bool (*is_it)(struct span line);
		char *text;
		size_t size;
	} fields[] = {
		{ "version", is_version, driver->version, sizeof(driver->version) },
		{ "filename", is_path, driver->path, sizeof(driver->path) },
	};
	char modinfo[64];

	if (!run_find(root, "modinfo", modinfo, sizeof(modinfo)))
		return 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *const argv[] = { modinfo,        "-k",     release, "-F",
					     fields[i].name, "nvidia", NULL };
		const struct run run = { .argv = argv,
					 .timeout_s = TIMEOUT_S,
					 .output_limit = OUTPUT_MAX };
		cleanup(run_result_done) struct run_result result = { 0 };

		if (run_command(runner, root, &run, &result, err) < 0)
			return error_prefix(err, "asking modinfo for the module nvidia");
		if (result.status == 0 && result.signal == 0)
			take_line(&result, fields[i].is_it, fields[i].text,
				  fields[i].size);
	}

	return 0;
}

/* Whether a package manager says that the file belongs to a package. */
static int ask_owner(struct runner *runner, const struct root *root, bool *ret_owned,
		     struct error *err)
{
	static const struct {
		const char *tool, *option;
	} owners[] = { { "dpkg-query", "-S" }, { "rpm", "-qf" } };

	*ret_owned = false;
	for (size_t i = 0; i < ARRAY_SIZE(owners) && !*ret_owned; i++) {
		char tool[64];
		const char *argv[] = { tool, owners[i].option, SMI, NULL };
		const struct run run = { .argv = argv,
					 .timeout_s = TIMEOUT_S,
					 .output_limit = OUTPUT_MAX };
		cleanup(run_result_done) struct run_result result = { 0 };

		if (!run_find(root, owners[i].tool, tool, sizeof(tool)))
			continue;
		if (run_command(runner, root, &run, &result, err) < 0)
			return error_prefix(err, "asking whose " SMI " is");
		*ret_owned = result.status == 0 && result.signal == 0;
	}

	return 0;
}

/* /proc/modules: "nvidia 56807424 1219 nvidia_uvm, Live 0x0000000000000000 (POE)" */
static bool is_loaded(const struct root *root)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, line;
	size_t size;

	if (file_read(root, "/proc/modules", 1u << 20, &text, &size, &ignored) < 0)
		return false;

	rest = (struct span){ text, size };
	while (span_next_line(&rest, &line)) {
		if (span_starts(line, "nvidia "))
			return true;
	}

	return false;
}

static void read_loaded(const struct root *root, struct detect_driver *driver)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span version = { "", 0 };
	size_t size;

	if (file_read(root, "/sys/module/nvidia/version", 4096, &text, &size, &ignored) ==
	    0)
		version = span_trim((struct span){ text, size });

	if (version_valid(version))
		(void)span_copy(version, driver->loaded, sizeof(driver->loaded));
	else if (is_loaded(root))
		(void)text_copy(driver->loaded, sizeof(driver->loaded), "?");
}

int detect_driver(struct runner *runner, const struct root *root, const char *release,
		  struct detect_driver *ret_driver, struct error *err)
{
	struct detect_driver driver = { .version = "" };
	struct stat st;

	if (read_module(runner, root, release, &driver, err) < 0)
		return -1;

	read_loaded(root, &driver);
	driver.grid = root_stat(root, GRIDD, &st);
	driver.tools = root_stat(root, SMI, &st);
	if (driver.tools && ask_owner(runner, root, &driver.packaged, err) < 0)
		return -1;

	*ret_driver = driver;
	return 0;
}
