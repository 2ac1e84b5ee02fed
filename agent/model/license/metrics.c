/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/metrics.h"

#include <inttypes.h>
#include <string.h>

/* What a label's value may not hold as it is; the name's bytes may be anybody's. */
static void print_label(FILE *out, const char *name, const char *value)
{
	cleanup_json struct json *text = json_words(value);

	(void)fprintf(out, "%s=\"", name);
	for (const char *c = json_as_string(text); *c; c++) {
		if (*c == '\n')
			(void)fputs("\\n", out);
		else if (*c == '"' || *c == '\\')
			(void)fprintf(out, "\\%c", *c);
		else
			(void)fputc(*c, out);
	}
	(void)fputc('"', out);
}

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/*
 * Which products of a GPU tell something: of one that holds a license the licensed ones,
 * else all. Two lines of the same labels would make the whole text invalid.
 */
static bool is_told(const struct license_gpu *gpu, size_t index)
{
	const struct license_feature *feature = &gpu->features[index];

	for (size_t i = 0; i < index; i++) {
		if (strcmp(gpu->features[i].product, feature->product) == 0 &&
		    is_told(gpu, i))
			return false;
	}
	return !license_held(gpu) || feature->state == LICENSE_LICENSED;
}

static void print_license(FILE *out, const char *metric, const struct license_gpu *gpu,
			  const char *product, int64_t value)
{
	(void)fprintf(out, "%s{", metric);
	print_label(out, "gpu", gpu->id);
	(void)fputc(',', out);
	print_label(out, "product", product);
	(void)fprintf(out, "} %" PRId64 "\n", value);
}

static void print_licensed(FILE *out, const struct license_gpu *gpu)
{
	static const char metric[] = "vgpu_license_licensed";

	if (gpu->feature_count == 0)
		print_license(out, metric, gpu, "", 0);
	for (size_t i = 0; i < gpu->feature_count; i++) {
		if (is_told(gpu, i))
			print_license(out, metric, gpu, gpu->features[i].product,
				      gpu->features[i].state == LICENSE_LICENSED);
	}
}

static void print_expiry(FILE *out, const struct license_gpu *gpu)
{
	for (size_t i = 0; i < gpu->feature_count; i++) {
		const struct license_feature *feature = &gpu->features[i];

		if (is_told(gpu, i) && feature->expiry_kind == LICENSE_EXPIRY_DATE)
			print_license(out, "vgpu_license_expiry_timestamp_seconds", gpu,
				      feature->product, feature->expiry);
	}
}

static void print_licenses(FILE *out, const struct metrics *metrics,
			   void (*each)(FILE *out, const struct license_gpu *gpu))
{
	for (size_t i = 0; metrics->report && i < metrics->report->count; i++) {
		const struct license_gpu *gpu = &metrics->report->gpus[i];

		if (license_needed(gpu, metrics->feature_type))
			each(out, gpu);
	}
}

static void print_driver(FILE *out, const struct metrics *metrics)
{
	if (!metrics->report)
		return;
	(void)fputs("vgpu_driver_info{", out);
	print_label(out, "version", metrics->report->driver_version);
	(void)fputc(',', out);
	print_label(out, "host_version", metrics->host_version);
	(void)fputs("} 1\n", out);
}

static bool print_step(void *context, const char *name, const struct json *step)
{
	FILE *out = context;

	(void)fputs("vgpu_agent_run_step_seconds{", out);
	print_label(out, "step", name);
	(void)fprintf(out, "} %.3f\n", json_get_real(step, "seconds", 0));
	return true;
}

static void print_info(FILE *out, const char *metric, const char *label,
		       const char *value)
{
	(void)fprintf(out, "%s{", metric);
	print_label(out, label, value);
	(void)fputs("} 1\n", out);
}

static void print_time(FILE *out, const char *metric, int64_t time)
{
	if (time > 0)
		(void)fprintf(out, "%s %" PRId64 "\n", metric, time);
}

static void print_run(FILE *out, const struct metrics *metrics)
{
	if (metrics->run_at <= 0)
		return;
	(void)fputs("vgpu_agent_run_status{", out);
	print_label(out, "step", metrics->run_step);
	(void)fputc(',', out);
	print_label(out, "name", metrics->run_name);
	(void)fprintf(out, "} %d\n", metrics->run_status);
}

/* What there is of every guest with a GPU, whatever its state. */
static void print_agent(FILE *out, const struct metrics *metrics)
{
	print_head(out, "vgpu_agent_info", "gauge", "The agent's version.");
	if (metrics->agent_version)
		print_info(out, "vgpu_agent_info", "version", metrics->agent_version);
	print_head(out, "vgpu_gpus", "gauge", "NVIDIA GPUs on the PCI bus.");
	(void)fprintf(out, "vgpu_gpus %zu\n", metrics->gpus);
	print_head(out, "vgpu_agent_run_status", "gauge",
		   "The exit status of the last run since the boot, with the step that "
		   "failed.");
	print_run(out, metrics);
	print_head(out, "vgpu_agent_run_timestamp_seconds", "gauge",
		   "When the last run since the boot ended, in seconds since 1970.");
	print_time(out, "vgpu_agent_run_timestamp_seconds", metrics->run_at);
	print_head(out, "vgpu_agent_repository_info", "gauge",
		   "The server that the drivers come from.");
	if (metrics->repository && metrics->repository[0])
		print_info(out, "vgpu_agent_repository_info", "host",
			   metrics->repository);
	print_head(out, "vgpu_token_expiry_timestamp_seconds", "gauge",
		   "When the client configuration token expires, in seconds since 1970.");
	print_time(out, "vgpu_token_expiry_timestamp_seconds", metrics->token_expires);
	print_head(out, "vgpu_license_reason", "gauge",
		   "Why there is no license, where that is known.");
	if (metrics->reason)
		print_info(out, "vgpu_license_reason", "code", metrics->reason);
}

static void print_all(FILE *out, const struct metrics *metrics)
{
	print_agent(out, metrics);
	print_head(out, "vgpu_license_licensed", "gauge",
		   "Whether the GPU holds a license for the product.");
	print_licenses(out, metrics, print_licensed);
	print_head(out, "vgpu_license_expiry_timestamp_seconds", "gauge",
		   "When the license expires, in seconds since 1970.");
	print_licenses(out, metrics, print_expiry);
	print_head(out, "vgpu_driver_info", "gauge",
		   "The guest's driver and the host's, where it is known.");
	print_driver(out, metrics);
	print_head(out, "vgpu_agent_run_step_seconds", "gauge",
		   "How long each step took when it last changed something.");
	if (metrics->steps)
		json_each(metrics->steps, print_step, out);
	print_head(out, "vgpu_agent_last_poll_timestamp_seconds", "gauge",
		   "When the driver was last asked, in seconds since 1970.");
	(void)fprintf(out, "vgpu_agent_last_poll_timestamp_seconds %" PRId64 "\n",
		      metrics->polled);
	print_head(out, "vgpu_agent_poll_errors_total", "counter",
		   "How often the driver gave no answer.");
	(void)fprintf(out, "vgpu_agent_poll_errors_total %" PRIu64 "\n",
		      metrics->poll_errors);
}

char *metrics_print(const struct metrics *metrics)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	print_all(out, metrics);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
