/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/detect/detect.h that looks at the driver that is there. */

#include "steps/detect/detect.h"

#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/driver/version.h"
#include "model/paths.h"
#include "steps/detect/module_chosen.h"

#define TIMEOUT_S 30
#define OUTPUT_MAX 4096

/* Of the module that modprobe would take; "" where there is none. */
static int read_module(struct runner *runner, const struct root *root,
		       const char *release, struct detect_driver *driver,
		       struct error *err)
{
	char version[MODULE_CHOSEN_MAX];

	if (module_chosen(runner, root, release, "version", version, err) < 0)
		return -1;
	if (version_valid(span_of(version)))
		(void)text_copy(driver->version, sizeof(driver->version), version);
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

	if (read_module(runner, root, release, &driver, err) < 0)
		return -1;

	read_loaded(root, &driver);
	if (root_exists(root, PATHS_GRIDD, &driver.grid, err) < 0 ||
	    root_exists(root, PATHS_SMI, &driver.tools, err) < 0)
		return -1;

	*ret_driver = driver;
	return 0;
}
