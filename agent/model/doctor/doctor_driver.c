/* SPDX-License-Identifier: Apache-2.0 */

/* The part of model/doctor/doctor_rules.h that looks at GPU, kernel and driver. */

#include <string.h>

#include "model/doctor/doctor_rules.h"

#define HINT_SIGN                                                                    \
	"publish modules that build-modules has signed with a key that this kernel " \
	"trusts, or set signing.key and signing.cert to such a key, then: "          \
	"vgpu-guest-agent install"
#define HINT_RUN "let the agent do the whole job: vgpu-guest-agent run"

static void no_gpu(struct doctor_causes *causes)
{
	struct doctor_cause *cause = doctor_rules_add(causes, "no_gpu", true);

	say(cause, "there is no NVIDIA GPU on the PCI bus");
	advise(cause,
	       "give this instance a flavor with a vGPU, or ask the operator why it "
	       "has none: lspci -d 10de:");
}

/* Why there are no modules, where the last run has tried to make them. */
static void check_build(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (strcmp(facts->failed_step, "build") == 0) {
		cause = doctor_rules_add(causes, "build_failed", true);
		say(cause, "the last run could not make the kernel modules: %.240s",
		    facts->failed);
		advise(cause, "%s",
		       facts->failed_hint[0]
			       ? facts->failed_hint
			       : "see the logs in /var/log/vgpu-guest-agent");
	}
	if (facts->unversioned[0]) {
		cause = doctor_rules_add(causes, "kernel_unversioned",
					 facts->prebuilt_only);
		say(cause,
		    "modules can only be compiled here: CONFIG_MODVERSIONS is not set in "
		    "%s, so no prebuilt archive can prove that it fits this kernel",
		    facts->unversioned);
		advise(cause, "let the guest compile, with headers and compiler "
			      "installed: driver.prebuilt = \"auto\"");
	}
}

static bool is_other_release(const struct doctor_facts *facts)
{
	return facts->vermagic[0] && strcmp(facts->vermagic, facts->release) != 0;
}

/* True where there is nothing that could be loaded. */
static bool check_installed(const struct doctor_facts *facts,
			    struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->loaded[0] && facts->tools)
		return false;
	if (facts->module[0] && is_other_release(facts)) {
		check_build(facts, causes);
		cause = doctor_rules_add(causes, "driver_other_kernel", true);
		say(cause, "the module nvidia %s was built for kernel %s, and %s runs",
		    facts->module, facts->vermagic, facts->release);
		advise(cause,
		       "build it for the running kernel: vgpu-guest-agent install");
		doctor_rules_after_run(facts, "install", cause);
		return true;
	}
	if (facts->module[0] && facts->tools)
		return false;
	if (!facts->module[0])
		check_build(facts, causes);
	if (!facts->module[0] && facts->other_kernel[0]) {
		cause = doctor_rules_add(causes, "driver_other_kernel", true);
		say(cause, "the driver's modules are there for kernel %s, and %s runs",
		    facts->other_kernel, facts->release);
		advise(cause,
		       "build them for the running kernel: vgpu-guest-agent install");
		doctor_rules_after_run(facts, "install", cause);
		return true;
	}

	cause = doctor_rules_add(causes, "driver_missing", true);
	say(cause, "the driver is not installed: there is no %s",
	    facts->tools       ? "kernel module nvidia"
	    : facts->module[0] ? "nvidia-smi"
			       : "kernel module nvidia and no nvidia-smi");
	advise(cause, HINT_RUN);
	doctor_rules_after_run(facts, "install", cause);
	return true;
}

static void check_bound(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	const struct {
		const char *address, *code, *name;
	} others[] = {
		{ facts->nouveau, "nouveau_bound", "nouveau" },
		{ facts->nova, "nova_bound", "nova" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct doctor_cause *cause;

		if (!others[i].address[0])
			continue;
		cause = doctor_rules_add(causes, others[i].code, true);
		say(cause, "the kernel's own driver %s holds the GPU %s", others[i].name,
		    others[i].address);
		advise(cause,
		       "let the agent blacklist and unload it: vgpu-guest-agent install; "
		       "if it is in use, reboot after that");
	}
}

static bool is_mismatch(const struct doctor_facts *facts)
{
	bool stale = facts->module[0] && facts->loaded[0] &&
		     strcmp(facts->loaded, "?") != 0 &&
		     strcmp(facts->loaded, facts->module) != 0;

	return stale || strstr(facts->smi_error, "version mismatch") ||
	       strstr(facts->smi_error, "of different versions");
}

static void check_versions(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (!facts->loaded[0] || !is_mismatch(facts))
		return;
	cause = doctor_rules_add(causes, "version_mismatch", true);
	if (facts->module[0] && strcmp(facts->loaded, facts->module) != 0)
		say(cause, "the loaded module is %s, and %s is installed", facts->loaded,
		    facts->module);
	else
		say(cause,
		    "the loaded module %s and the driver's user space are of "
		    "different versions",
		    facts->loaded);
	advise(cause,
	       "reboot; if it stays, install the driver again: vgpu-guest-agent run");
}

static void check_branch(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	const char *version = facts->driver_version[0] ? facts->driver_version
						       : facts->module;
	struct doctor_cause *cause;

	if (!facts->host[0] || !version[0] ||
	    version_branch(version) <= version_branch(facts->host))
		return;
	cause = doctor_rules_add(causes, "branch_too_new", true);
	say(cause,
	    "the guest driver %s is of a later branch than the host's %s: such a vGPU does "
	    "not start",
	    version, facts->host);
	advise(cause,
	       "install the driver that fits the host: vgpu-guest-agent plan names it; one "
	       "that others installed must be removed first");
}

/*
 * A guest has no console for mokutil --import: who runs the cloud gives it the
 * certificate, or the modules come signed.
 */
static void check_signature(const struct doctor_facts *facts,
			    struct doctor_causes *causes)
{
	bool certain = facts->is_signed == DOCTOR_NO || facts->is_trusted == DOCTOR_NO;
	const char *wrong = facts->is_signed == DOCTOR_NO ? "is not signed"
			    : facts->is_trusted == DOCTOR_NO
				    ? "is signed by a key that /proc/keys does not list: "
				    : "is perhaps not signed by a key that it trusts";
	struct doctor_cause *cause;

	if (facts->secure_boot) {
		cause = doctor_rules_add(causes, "secure_boot", certain);
		say(cause,
		    "Secure Boot is on: the kernel takes only signed modules, and the "
		    "module nvidia %s%s",
		    wrong, certain ? facts->signer : "");
		advise(cause, HINT_SIGN);
		return;
	}
	cause = doctor_rules_add(causes, "signature_enforced", certain);
	say(cause,
	    "the kernel takes only signed modules (%s), and the module nvidia %s%s",
	    facts->enforcer, wrong, certain ? facts->signer : "");
	advise(cause, HINT_SIGN);
}

/* Whether the modules of the installed driver are the ones in the running kernel. */
static void check_loaded(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->loaded[0] || !facts->module[0] || is_other_release(facts))
		return;
	if (facts->enforced == DOCTOR_YES && facts->is_trusted != DOCTOR_YES)
		check_signature(facts, causes);
	cause = doctor_rules_add(causes, "module_not_loaded", true);
	say(cause, "the module nvidia %s for kernel %s is not loaded", facts->module,
	    facts->release);
	advise(cause,
	       "load it, and see what the kernel says if that fails: modprobe nvidia; "
	       "dmesg | grep NVRM");
}

/* What an installation would stop at, too. */
static void check_obstacles(const struct doctor_facts *facts,
			    struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->bound[0]) {
		cause = doctor_rules_add(causes, "vfio_bound", true);
		say(cause, "%s", facts->bound);
		advise(cause, "take it from there (driverctl unset-override, "
			      "vfio-pci.ids= or pci-stub.ids= on the kernel's command "
			      "line, options in /etc/modprobe.d), then: "
			      "vgpu-guest-agent run");
	}
	if (facts->masked[0] && !facts->loaded[0]) {
		cause = doctor_rules_add(causes, "module_masked", true);
		say(cause, "a module of the driver is switched off by %s", facts->masked);
		advise(cause, "take that line out, then: vgpu-guest-agent run");
	}
	if (facts->owners[0]) {
		cause = doctor_rules_add(causes, "other_packages", false);
		say(cause, "packages own parts of a driver: %s", facts->owners);
		advise(cause, "if the agent is to install the driver, remove them, then: "
			      "vgpu-guest-agent run");
	}
	if (facts->read_only[0] && !facts->module[0]) {
		cause = doctor_rules_add(causes, "read_only", true);
		say(cause, "%s is mounted read-only: no driver can be put there",
		    facts->read_only);
		advise(cause,
		       "mount it so that it can be written, or put the driver into "
		       "the image that this guest is made of");
	}
}

void doctor_driver_judge(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;
	size_t before = causes->count;

	if (facts->gpus == 0) {
		no_gpu(causes);
		return;
	}
	if (facts->smi_answers) {
		check_versions(facts, causes);
		check_branch(facts, causes);
		return;
	}

	if (facts->words) {
		cause = doctor_rules_add(causes, "gpu_reset", true);
		say(cause, "the GPU does not work: %.200s", facts->smi_error);
		advise(cause, "reset the GPU (nvidia-smi --gpu-reset) or reboot; see "
			      "what the kernel says: dmesg | grep NVRM");
		return;
	}
	check_obstacles(facts, causes);
	doctor_denied_judge(facts, causes);
	if (!check_installed(facts, causes)) {
		check_branch(facts, causes);
		check_bound(facts, causes);
		check_versions(facts, causes);
		check_loaded(facts, causes);
	} else {
		check_bound(facts, causes);
	}
	if (causes->count > before)
		return;
	cause = doctor_rules_add(causes, "unknown", false);
	say(cause, "the driver is loaded and does not work: %.200s", facts->smi_error);
	advise(cause, "%s",
	       facts->smi_hint[0] ? facts->smi_hint
				  : "see what the kernel says: dmesg | grep NVRM");
}
