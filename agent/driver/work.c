/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/work.h"

#include <string.h>

#include "base/text.h"
#include "driver/in_place.h"
#include "model/paths.h"
#include "steps/build/build.h"
#include "steps/build/build_tree.h"
#include "steps/depmod.h"
#include "steps/install/install.h"

void work_begin(const struct context *ctx, const struct guest *guest,
		struct work *ret_work)
{
	*ret_work = WORK_INIT;
	ret_work->guest = guest;
	ret_work->dkms_wanted = strcmp(ctx->settings.driver.dkms, "yes") == 0 &&
				ctx->job != JOB_MODULES &&
				strcmp(ctx->settings.driver.package, "deb") != 0 &&
				strcmp(ctx->settings.driver.package, "rpm") != 0;
	ret_work->target_count = guest->target_count;
	for (size_t i = 0; i < guest->target_count; i++)
		ret_work->targets[i].kernel = guest->targets[i];
}

void work_done(struct work *work)
{
	match_done(&work->match);
	fetch_result_done(&work->file);
}

void work_back(const struct work *work, const struct driver *driver,
	       struct work *ret_back)
{
	*ret_back = WORK_INIT;
	ret_back->guest = work->guest;
	ret_back->dkms_wanted = work->dkms_wanted;
	ret_back->driver = *driver;
	ret_back->way_back = ret_back->recorded = true;
	ret_back->target_count = work->target_count;
	for (size_t i = 0; i < work->target_count; i++)
		ret_back->targets[i].kernel = work->targets[i].kernel;
}

bool work_is_package(const struct work *work)
{
	return work->driver.kind == PACKAGE_DEB || work->driver.kind == PACKAGE_RPM;
}

bool work_by_dkms(const struct work *work)
{
	return work->dkms_wanted && !work_is_package(work);
}

bool work_keeps_installed(const struct work *work)
{
	return work->match.rule == MATCH_INSTALLED;
}

/* With driver.dkms our own modules change sides; those of others are where they are. */
static bool is_at_its_place(const struct context *ctx, const struct work *work,
			    const char *release, const char *version)
{
	char path[192];
	struct stat st;

	if (!work_by_dkms(work))
		return !build_tree_is_ours(&ctx->root, version);
	return !text_format(path, sizeof(path), "/lib/modules/%s/" PATHS_MODULES,
			    release) ||
	       !root_stat(&ctx->root, path, &st);
}

int work_look_at_targets(const struct context *ctx, const struct detect_driver *installed,
			 const char *version, struct work *work, struct error *err)
{
	for (size_t i = 0; i < work->target_count; i++) {
		struct target *target = &work->targets[i];
		struct detect_driver there = { .grid = false };
		bool mixed = false;

		if (i == 0 && installed)
			there = *installed;
		else if (detect_driver(ctx->runner, &ctx->root, target->kernel.release,
				       &there, err) < 0)
			return -1;
		/* On the way back: the other driver's modules were being copied here. */
		if (work->way_back &&
		    depmod_is_owed(&ctx->root, target->kernel.release, &mixed, err) < 0)
			return -1;
		target->done =
			!mixed && version[0] && strcmp(there.version, version) == 0 &&
			is_at_its_place(ctx, work, target->kernel.release, version);
		/* What is loaded was taken. */
		if (target->done &&
		    !(target->kernel.running && strcmp(there.loaded, version) == 0) &&
		    in_place_refused(ctx, target->kernel.release, &target->refused, err) <
			    0)
			return -1;
		target->done &= !target->refused;
	}
	return 0;
}

bool work_targets_done(const struct work *work)
{
	for (size_t i = 0; i < work->target_count; i++) {
		if (!work->targets[i].done)
			return false;
	}
	return work->target_count > 0;
}

int work_need_target(const struct work *work, struct error *err)
{
	if (work->target_count > 0)
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES,
			"no kernel below /lib/modules has headers: there is none to "
			"bring the driver to");
	return error_hint(err, "install a kernel with its headers, or name one with "
			       "--kernel");
}
