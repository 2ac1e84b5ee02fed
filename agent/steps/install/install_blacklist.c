/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that keeps foreign drivers from the GPU at boot. */

#include "steps/install/install.h"

#include "base/file.h"
#include "model/paths.h"

static const char blacklist[] =
	"# Written by vgpu-guest-agent: these drivers would take the GPU from NVIDIA's.\n"
	"blacklist nouveau\n"
	"blacklist nova_core\n"
	"blacklist nova_drm\n"
	"options nouveau modeset=0\n";

int install_blacklist(const struct root *root, bool *ret_changed, struct error *err)
{
	if (root_mkdir(root, "/etc/modprobe.d", 0755, err) < 0)
		return -1;
	return file_update(root, PATHS_BLACKLIST, span_of(blacklist), 0644, ret_changed,
			   err);
}
