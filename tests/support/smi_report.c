/* SPDX-License-Identifier: Apache-2.0 */
#include "support/smi_report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/cmocka.h"

char *smi_report_sample(const char *name)
{
	char path[PATH_MAX];
	char *text = calloc(1, 16384);
	FILE *f;

	assert_non_null(text);
	(void)snprintf(path, sizeof(path), "%s/smi/%s", TEST_DATA_DIR, name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_in_range(fread(text, 1, 16384 - 1, f), 1, 16384 - 2);
	(void)fclose(f);
	return text;
}

char *smi_report_vgpus(int count, int announced, const char *status)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	(void)fprintf(f,
		      "\n==============NVSMI LOG==============\n\n"
		      "Driver Version                            : 535.183.06\n"
		      "\nAttached GPUs                             : %d\n",
		      announced);
	for (int i = 0; i < count; i++) {
		(void)fprintf(
			f,
			"GPU 00000000:%02X:00.0\n"
			"    Product Name                          : NVIDIA L40S-2Q\n"
			"    GPU Virtualization Mode\n"
			"        Virtualization Mode               : VGPU\n"
			"    vGPU Software Licensed Product\n"
			"        Product Name                      : NVIDIA RTX Virtual "
			"Workstation\n"
			"        License Status                    : %s\n"
			"    PCI\n"
			"        Bus                               : 0x%02X\n"
			"    Processes                             : None\n\n",
			(unsigned)i, status, (unsigned)i);
	}
	assert_int_equal(fclose(f), 0);
	return text;
}
