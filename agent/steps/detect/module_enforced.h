/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether the running kernel takes only signed modules: the one place that asks.
 */

#include "base/root.h"

enum module_answer { MODULE_UNKNOWN, MODULE_YES, MODULE_NO };

struct module_enforced {
	enum module_answer answer;
	bool secure_boot;  /* the firmware's Secure Boot is on and counts */
	char evidence[96]; /* "lockdown is integrity" */
};

/*
 * The kernel's own words decide: it enforces signatures where module.sig_enforce is on
 * (kernel/module/signing.c) or it is locked down (security/lockdown/lockdown.c). The EFI
 * variable alone says nothing of it: shim's validation can be off, and a kernel can be
 * told to enforce without Secure Boot. Only where the kernel says nothing do its command
 * line, its configuration and at last the firmware, with shim's MokSBStateRT, speak.
 */
struct module_enforced module_enforced(const struct root *root);

/*
 * What makes such a kernel take the driver, as the hint of `err`: nothing that is off
 * already is to be turned off. -1.
 */
int module_enforced_hint(const struct module_enforced *enforced, struct error *err);
