/* SPDX-License-Identifier: Apache-2.0 */
#include "core/guest.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/config.h"

static int look_at_gpus(struct agent *agent, struct error *err)
{
	struct error unreadable = ERROR_INIT;

	if (agent->offline && !agent->options.sysfs)
		return 0;
	if (detect_gpus(&agent->sysfs, &agent->gpus, err) < 0)
		return -1;

	/* Guests that disagree on the host stop the match, not the look. */
	if (gpu_host(&agent->gpus, &agent->host, &unreadable) < 0)
		agent->host_unreadable = unreadable.code == ERROR_PERMISSION;
	return 0;
}

static int add_target(struct agent *agent, const struct kernel *kernel, struct error *err)
{
	if (agent->target_count == AGENT_KERNELS_MAX)
		return error_set(err, ERROR_USAGE, "more than %d kernels",
				 AGENT_KERNELS_MAX);
	agent->targets[agent->target_count++] = *kernel;
	return 0;
}

static int add_named_target(struct agent *agent, const char *release, struct error *err)
{
	const struct kernel *kernel = kernel_find(&agent->kernels, release);

	if (!kernel_release_valid(span_of(release)))
		return error_set(err, ERROR_USAGE, "--kernel %s: no kernel release",
				 release);
	if (!kernel) {
		(void)error_set(err, ERROR_PREREQUISITES,
				"kernel %s is not installed: no /lib/modules/%s", release,
				release);
		return error_hint(err, "\"vgpu-guest-agent detect\" lists the kernels");
	}
	return add_target(agent, kernel, err);
}

/* The named kernels; else the running one, offline every kernel that has headers. */
static int choose_targets(struct agent *agent, struct error *err)
{
	const struct kernel *running = kernel_running(&agent->kernels);

	for (size_t i = 0; i < agent->options.kernel_count; i++) {
		if (add_named_target(agent, agent->options.kernels[i], err) < 0)
			return -1;
	}
	if (agent->target_count > 0)
		return 0;

	if (!agent->offline)
		return running ? add_target(agent, running, err) : 0;
	for (size_t i = 0; i < agent->kernels.count; i++) {
		if (agent->kernels.kernels[i].headers &&
		    add_target(agent, &agent->kernels.kernels[i], err) < 0)
			return -1;
	}
	return 0;
}

int guest_kernels(struct agent *agent, struct error *err)
{
	if (detect_os(&agent->root, &agent->os, err) < 0 ||
	    detect_kernels(&agent->root, !agent->offline, &agent->kernels, err) < 0)
		return -1;
	return choose_targets(agent, err);
}

int guest_look(struct agent *agent, struct error *err)
{
	if (look_at_gpus(agent, err) < 0 || guest_kernels(agent, err) < 0)
		return -1;
	if (agent->target_count == 0)
		return 0;
	return detect_driver(&agent->runner, &agent->root, agent->targets[0].release,
			     &agent->driver, err);
}

static void describe(const struct agent *agent, char *buffer, size_t size)
{
	size_t vgpus = 0;

	for (size_t i = 0; i < agent->gpus.count; i++)
		vgpus += agent->gpus.gpus[i].kind == GPU_VGPU;

	if (agent->offline)
		(void)snprintf(buffer, size, "offline: %s %s, %zu kernel%s", agent->os.id,
			       agent->os.version_id, agent->target_count,
			       agent->target_count == 1 ? "" : "s");
	else if (agent->host.version[0])
		(void)snprintf(buffer, size, "%zu vGPU%s, host driver %s (%s)", vgpus,
			       vgpus == 1 ? "" : "s", agent->host.version,
			       agent->host.branch);
	else
		(void)snprintf(buffer, size, "%zu NVIDIA GPU%s, host driver not known",
			       agent->gpus.count, agent->gpus.count == 1 ? "" : "s");
}

int guest_detect(struct agent *agent, struct outcome *outcome, struct error *err)
{
	if (guest_look(agent, err) < 0)
		return -1;
	if (!agent->offline && agent->gpus.count == 0)
		return error_set(err, ERROR_NO_GPU, "no NVIDIA GPU on the PCI bus");

	describe(agent, outcome->detail, sizeof(outcome->detail));
	return 0;
}

/* Warnings of the metadata are for the operator: each one its own line. */
static void say_warnings(const struct json *warnings)
{
	for (size_t i = 0; i < json_count(warnings); i++)
		log_line(LOG_LEVEL_WARNING, "warning: metadata: %s",
			 json_as_string(json_at(warnings, i)));
}

int guest_metadata(struct agent *agent, struct outcome *outcome, struct error *err)
{
	if (!agent->settings.metadata.enabled) {
		outcome->kind = OUTCOME_SKIPPED;
		(void)text_copy(outcome->detail, sizeof(outcome->detail),
				"metadata.enabled is false");
		return 0;
	}

	if (metadata_read(&agent->settings.metadata, &agent->root, &agent->runner,
			  &agent->channel, &agent->metadata, err) < 0)
		return -1;
	if (config_assemble(agent, agent->metadata.object, agent->metadata.warnings,
			    err) < 0)
		return -1;

	say_warnings(agent->metadata.warnings);
	(void)text_copy(outcome->detail, sizeof(outcome->detail), agent->metadata.detail);
	return 0;
}
