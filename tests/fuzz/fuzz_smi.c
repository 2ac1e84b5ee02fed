/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "model/license/smi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct license_report report;
	struct span text = { (const char *)data, size };
	struct error err = ERROR_INIT;
	char said[64];

	(void)smi_complaint(text, said, sizeof(said));
	if (smi_parse(text, &report, &err) < 0)
		return err.text[0] ? 0 : (abort(), 0);
	if (report.count == 0 || report.count > LICENSE_GPUS_MAX)
		abort();
	json_free(license_report_json(&report, report.count, 2, NULL, 0));
	return 0;
}
