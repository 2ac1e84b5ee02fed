/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On a machine with an NVIDIA GPU and its driver: whether NVML and nvidia-smi -q give the
 * same answer, and what a poll of each costs. scripts/bench-license builds and runs it.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "steps/license/nvml.h"
#include "steps/license/nvml_child.h"
#include "steps/license/poll.h"

#define SMI_POLLS 10
#define NVML_POLLS 500
#define TIMEOUT_S 60

struct cost {
	double wall_ms, cpu_ms;
	long rss_kib;
};

static double seconds_of(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static double cpu_of_children(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_CHILDREN, &usage);
	return seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
}

static double cpu_of(pid_t pid)
{
	struct timespec time = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		(void)clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long rss_of(pid_t pid)
{
	char path[64], line[128];
	long kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	}
	if (file)
		(void)fclose(file);
	return kib;
}

static int measure_smi(struct license_report *report, struct cost *cost,
		       struct error *err)
{
	struct runner runner = run_runner(-1);
	struct root root = ROOT_INIT;
	double wall, cpu = cpu_of_children();
	struct rusage usage;

	if (root_open("/", &root, err) < 0)
		return -1;
	wall = clock_monotonic();
	for (int i = 0; i < SMI_POLLS; i++) {
		if (poll_smi(&runner, &root, TIMEOUT_S, report, err) < 0)
			return -1;
	}
	cost->wall_ms = (clock_monotonic() - wall) * 1000 / SMI_POLLS;
	cost->cpu_ms = (cpu_of_children() - cpu) * 1000 / SMI_POLLS;
	(void)getrusage(RUSAGE_CHILDREN, &usage);
	cost->rss_kib = usage.ru_maxrss;
	root_close(&root);
	return 0;
}

static int measure_nvml(struct license_report *report, bool *exact, struct cost *first,
			struct cost *cost, struct error *err)
{
	struct nvml_child child = NVML_CHILD_INIT;
	double wall = clock_monotonic(), cpu;

	if (nvml_child_start("libnvidia-ml.so.1", &child, err) < 0 ||
	    nvml_child_ask(&child, TIMEOUT_S, -1, report, exact, err) < 0)
		return -1;
	first->wall_ms = (clock_monotonic() - wall) * 1000;
	first->cpu_ms = cpu_of(child.pid) * 1000;

	wall = clock_monotonic();
	cpu = cpu_of(child.pid);
	for (int i = 0; i < NVML_POLLS; i++) {
		if (nvml_child_ask(&child, TIMEOUT_S, -1, report, exact, err) < 0)
			return -1;
	}
	cost->wall_ms = (clock_monotonic() - wall) * 1000 / NVML_POLLS;
	cost->cpu_ms = (cpu_of(child.pid) - cpu) * 1000 / NVML_POLLS;
	first->rss_kib = cost->rss_kib = rss_of(child.pid);
	nvml_child_end(&child);
	return 0;
}

static int differ(const char *what, const char *smi, const char *nvml)
{
	if (strcmp(smi, nvml) == 0)
		return 0;
	(void)printf("DIFFERENT %s: nvidia-smi says \"%s\", NVML \"%s\"\n", what, smi,
		     nvml);
	return 1;
}

static int compare(const struct license_report *smi, const struct license_report *nvml)
{
	int found = differ("driver", smi->driver_version, nvml->driver_version);

	if (smi->count != nvml->count) {
		(void)printf("DIFFERENT number of GPUs: %zu and %zu\n", smi->count,
			     nvml->count);
		return 1;
	}
	for (size_t i = 0; i < smi->count; i++) {
		const struct license_gpu *a = &smi->gpus[i], *b = &nvml->gpus[i];

		found += differ("id", a->id, b->id);
		found += differ("uuid", a->uuid, b->uuid);
		found += differ("name", a->name, b->name);
		found += differ("virtualization", a->virtualization, b->virtualization);
		if (a->feature_count != b->feature_count) {
			(void)printf("DIFFERENT number of products: %zu and %zu\n",
				     a->feature_count, b->feature_count);
			found++;
			continue;
		}
		for (size_t k = 0; k < a->feature_count; k++) {
			found += differ("product", a->features[k].product,
					b->features[k].product);
			found += differ("status", a->features[k].status,
					b->features[k].status);
		}
	}
	return found;
}

static void print(const char *name, const struct cost *cost)
{
	(void)printf("%-28s %12.3f %12.3f %12ld\n", name, cost->wall_ms, cost->cpu_ms,
		     cost->rss_kib);
}

int main(void)
{
	static struct license_report smi, nvml;
	struct cost by_smi = { 0 }, first = { 0 }, by_nvml = { 0 };
	struct error err = ERROR_INIT;
	bool exact = false;
	int differences;

	if (measure_nvml(&nvml, &exact, &first, &by_nvml, &err) < 0 ||
	    measure_smi(&smi, &by_smi, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	(void)printf("%s, driver %s, %zu GPU%s, %s\n", smi.gpus[0].name,
		     smi.driver_version, smi.count, smi.count == 1 ? "" : "s",
		     smi.gpus[0].virtualization);
	(void)printf("%-28s %12s %12s %12s\n", "one poll", "wall ms", "cpu ms",
		     "peak RSS KiB");
	print("nvidia-smi -q", &by_smi);
	print("NVML, its first answer", &first);
	print("NVML, kept open", &by_nvml);
	(void)printf("%-28s %12.0f %12.0f %12.2f\n", "ratio, smi to NVML kept open",
		     by_smi.wall_ms / by_nvml.wall_ms, by_smi.cpu_ms / by_nvml.cpu_ms,
		     (double)by_smi.rss_kib / (double)by_nvml.rss_kib);
	differences = compare(&smi, &nvml);
	(void)printf("answers: %s\n", differences ? "different"
				      : exact     ? "equal"
						  : "equal, NVML leaves a doubt");
	return differences != 0;
}
