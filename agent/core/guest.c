/* SPDX-License-Identifier: Apache-2.0 */
#include "core/guest.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/license/gridd_conf.h"
#include "model/paths.h"

void guest_adopt_feature_type(const struct context *ctx, const struct guest *guest,
			      struct settings *settings)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	char value[16] = "";
	size_t size;

	if (settings_is_set(settings, "license.feature_type") || guest->gpus.count == 0 ||
	    gpu_has_vgpu(&guest->gpus) ||
	    file_read(&ctx->root, PATHS_GRIDD_CONF, GRIDD_CONF_MAX, &text, &size,
		      &ignored) < 0 ||
	    !gridd_conf_get((struct span){ text, size }, "FeatureType", value,
			    sizeof(value)))
		return;
	if (strcmp(value, "2") == 0 || strcmp(value, "4") == 0)
		settings->license.feature_type = value[0] - '0';
}

bool guest_host_unreadable(const struct guest *guest)
{
	return guest->host_why.code == ERROR_PERMISSION;
}

int guest_look_gpus(const struct context *ctx, struct guest *ret_guest, struct error *err)
{
	if (ctx->offline && !ctx->options->sysfs)
		return 0;
	if (detect_gpus(&ctx->sysfs, &ret_guest->gpus, err) < 0)
		return -1;

	/* GPUs that disagree on the host stop the match, not the look. */
	ret_guest->host_why = ERROR_INIT;
	(void)!gpu_host(&ret_guest->gpus, &ret_guest->host, &ret_guest->host_why);
	return 0;
}

static int add_target(struct guest *guest, const struct kernel *kernel, struct error *err)
{
	if (guest->target_count == CONTEXT_KERNELS_MAX)
		return error_set(err, ERROR_USAGE, "more than %d kernels",
				 CONTEXT_KERNELS_MAX);
	guest->targets[guest->target_count++] = *kernel;
	return 0;
}

static int refuse_release(const char *release, struct error *err)
{
	(void)error_set(err, ERROR_USAGE, "--kernel %s: no kernel release", release);
	return error_hint(err, "name it as `uname -r` does in the guest");
}

static int add_named_target(struct guest *guest, const char *release, struct error *err)
{
	const struct kernel *kernel = kernel_find(&guest->kernels, release);

	if (!kernel_release_valid(span_of(release)))
		return refuse_release(release, err);
	if (!kernel) {
		(void)error_set(err, ERROR_PREREQUISITES,
				"kernel %s is not installed: no /lib/modules/%s", release,
				release);
		return error_hint(err, "\"vgpu-guest-agent detect\" lists the kernels");
	}
	return add_target(guest, kernel, err);
}

/* The named kernels; else the running one, offline every kernel that has headers. */
static int choose_targets(const struct context *ctx, struct guest *guest,
			  struct error *err)
{
	const struct options *options = ctx->options;
	const struct kernel *running = kernel_running(&guest->kernels);

	guest->target_count = 0;
	for (size_t i = 0; i < options->kernel_count; i++) {
		if (add_named_target(guest, options->kernels[i], err) < 0)
			return -1;
	}
	if (guest->target_count > 0)
		return 0;

	if (!ctx->offline)
		return running ? add_target(guest, running, err) : 0;
	for (size_t i = 0; i < guest->kernels.count; i++) {
		if (guest->kernels.kernels[i].headers &&
		    add_target(guest, &guest->kernels.kernels[i], err) < 0)
			return -1;
	}
	return 0;
}

int guest_look_kernels(const struct context *ctx, struct guest *ret_guest,
		       struct error *err)
{
	if (detect_os(&ctx->root, &ret_guest->os, err) < 0 ||
	    detect_kernels(&ctx->root, !ctx->offline, &ret_guest->kernels, err) < 0)
		return -1;
	return choose_targets(ctx, ret_guest, err);
}

int guest_look(const struct context *ctx, struct guest *ret_guest, struct error *err)
{
	if (guest_look_gpus(ctx, ret_guest, err) < 0 ||
	    guest_look_kernels(ctx, ret_guest, err) < 0)
		return -1;
	if (ret_guest->target_count == 0)
		return 0;
	return detect_driver(ctx->runner, &ctx->root, ret_guest->targets[0].release,
			     &ret_guest->installed, err);
}

/* Whatever the GPUs here say of their host: they stand for those of the other guest. */
static void suppose_vgpus(const struct host_driver *host, struct gpu_list *gpus)
{
	for (size_t i = 0; i < gpus->count; i++) {
		struct gpu *gpu = &gpus->gpus[i];

		gpu->kind = GPU_VGPU;
		gpu->record = GPU_RECORD_READ;
		gpu->host = *host;
	}
}

int guest_suppose(const struct context *ctx, const char *host_version,
		  struct guest *ret_guest, struct error *err)
{
	const struct options *options = ctx->options;
	struct host_driver host = { .branch = "" };

	if (!version_valid(span_of(host_version)) ||
	    !text_copy(host.version, sizeof(host.version), host_version)) {
		(void)error_set(err, ERROR_USAGE, "--host-version %s: no driver version",
				host_version);
		return error_hint(err, "nvidia-smi on the hypervisor shows it, as "
				       "550.90.05");
	}
	if (guest_look_gpus(ctx, ret_guest, err) < 0 ||
	    detect_os(&ctx->root, &ret_guest->os, err) < 0)
		return -1;
	ret_guest->host = host;
	ret_guest->host_why = ERROR_INIT;
	if (ret_guest->gpus.count == 0)
		ret_guest->gpus.count = 1; /* of a type that nobody has named */
	suppose_vgpus(&host, &ret_guest->gpus);
	for (size_t i = 0; i < options->kernel_count; i++) {
		struct kernel kernel = { .running = false };

		if (!kernel_release_valid(span_of(options->kernels[i])) ||
		    !text_copy(kernel.release, sizeof(kernel.release),
			       options->kernels[i]))
			return refuse_release(options->kernels[i], err);
		if (add_target(ret_guest, &kernel, err) < 0)
			return -1;
	}
	return 0;
}

int guest_need_gpu(const struct context *ctx, const struct guest *guest,
		   struct error *err)
{
	if (ctx->offline || guest->gpus.count > 0)
		return 0;
	(void)error_set(err, ERROR_NO_GPU, "no NVIDIA GPU on the PCI bus");
	return error_hint(err, "a flavor with a vGPU gives this instance one; \"plan "
			       "--host-version VERSION\" shows what it would get");
}

void guest_describe(const struct context *ctx, const struct guest *guest, char *buffer,
		    size_t size)
{
	size_t vgpus = 0;

	for (size_t i = 0; i < guest->gpus.count; i++)
		vgpus += guest->gpus.gpus[i].kind == GPU_VGPU;

	if (ctx->offline)
		(void)snprintf(buffer, size, "offline: %s %s, %zu kernel%s", guest->os.id,
			       guest->os.version_id, guest->target_count,
			       guest->target_count == 1 ? "" : "s");
	else if (guest->host.version[0])
		(void)snprintf(buffer, size, "%zu vGPU%s, host driver %s (%s)", vgpus,
			       vgpus == 1 ? "" : "s", guest->host.version,
			       guest->host.branch);
	else
		(void)snprintf(buffer, size, "%zu NVIDIA GPU%s, host driver not known",
			       guest->gpus.count, guest->gpus.count == 1 ? "" : "s");
}
