/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What `validate` reaches on this machine's GPU, beside the driver's own device-to-device
 * copy and beside kernels of the example's design (tests/gpu/sample_design.cu), in one
 * run. Its argument is that file's PTX; scripts/bench-validate makes and passes it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps/validate/cuda.h"

static const unsigned sizes[] = { 64,   128,  256,  320,  512,   768,
				  1024, 2048, 4096, 8192, 16384, 32768 };

static char *read_file(const char *path)
{
	static char text[1 << 16];
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		(void)fclose(file);
	text[n] = '\0';
	return n > 0 ? text : NULL;
}

static const struct cuda_measure *find(const struct cuda_device *device, const char *name)
{
	for (size_t i = 0; i < CUDA_KERNELS && device->kernels[i].name; i++) {
		if (strcmp(device->kernels[i].name, name) == 0)
			return &device->kernels[i];
	}
	return NULL;
}

static void print_size(unsigned size, const struct cuda_device *own,
		       const struct cuda_device *other)
{
	double reference = own->device_copy.gb_per_second;

	(void)printf("| %u | device copy | %.0f | 1.000 | | |\n", size, reference);
	for (size_t i = 0; i < CUDA_KERNELS; i++) {
		const struct cuda_measure *mine = &own->kernels[i];
		const struct cuda_measure *theirs = find(other, mine->name);

		(void)printf("| %u | %s | %.0f | %.3f |", size, mine->name,
			     mine->gb_per_second, mine->gb_per_second / reference);
		if (theirs)
			(void)printf(" %.0f | %.2f |\n", theirs->gb_per_second,
				     mine->gb_per_second / theirs->gb_per_second);
		else
			(void)printf(" | |\n");
	}
}

static int bench(unsigned size, const struct cuda_suite *sample, struct error *err)
{
	struct cuda_options mine = { NULL, size, &cuda_suite_own };
	struct cuda_options theirs = { NULL, size, sample };
	struct cuda_report own = { .count = 0 }, other = { .count = 0 };
	int result = -1;

	if (cuda_validate(&mine, &own, err) == 0 &&
	    cuda_validate(&theirs, &other, err) == 0) {
		if (size == sizes[0])
			(void)printf("%s, %d multiprocessors\n\n"
				     "| size | kernel | GB/s | of the device copy | the "
				     "example's design | ratio |\n"
				     "|---|---|---|---|---|---|\n",
				     own.devices[0].name, own.devices[0].multiprocessors);
		print_size(size, &own.devices[0], &other.devices[0]);
		result = 0;
	}
	cuda_report_done(&own);
	cuda_report_done(&other);
	return result;
}

int main(int argc, char *argv[])
{
	struct cuda_suite sample = {
		.kernels = { { "copy", true, { "copy", 16, 16, 16, 16 }, 0, { 0 } },
			     { "naive", false, { "naive", 16, 16, 16, 16 }, 0, { 0 } },
			     { "coalesced",
			       false,
			       { "coalesced", 16, 16, 16, 16 },
			       0,
			       { 0 } },
			     { "optimized",
			       false,
			       { "optimized", 16, 16, 16, 16 },
			       0,
			       { 0 } } },
	};
	struct error err = ERROR_INIT;

	sample.ptx = argc == 2 ? read_file(argv[1]) : NULL;
	if (!sample.ptx) {
		(void)fputs("usage: bench_validate PTX\n", stderr);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (bench(sizes[i], &sample, &err) < 0) {
			(void)fprintf(stderr, "%u: %s\n", sizes[i], err.text);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
