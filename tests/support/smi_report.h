/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reports of `nvidia-smi -q` for tests: captured ones, and made ones of any size.
 * The caller frees the texts.
 */

char *smi_report_sample(const char *name); /* of data/smi/ */

/* `count` vGPUs, `announced` of them, each with this license status; at most 255. */
char *smi_report_vgpus(int count, int announced, const char *status);
