/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the agent keeps its own things, and where the driver expects what the agent gives
 * it: every such path once. All are below the root that the caller works in.
 */

/* What the operator writes. */
#define PATHS_CONFIG "/etc/vgpu-guest-agent/agent.conf"
#define PATHS_CONFIG_DIR "/etc/vgpu-guest-agent/conf.d"

/* What may be lost: downloads, the unpacked package, modules before their installation.
 */
#define PATHS_CACHE "/var/cache/vgpu-guest-agent"
#define PATHS_TREE PATHS_CACHE "/tree"
#define PATHS_TREE_NEW PATHS_CACHE "/.tree" /* until it is whole */
#define PATHS_BUILD PATHS_CACHE "/build"
#define PATHS_INSTALLER PATHS_CACHE "/.tmp" /* where nvidia-installer works */

/* What must not be lost, and what was there before the agent. */
#define PATHS_STATE "/var/lib/vgpu-guest-agent"
#define PATHS_STATE_NAME "state.json"
#define PATHS_STATE_FILE PATHS_STATE "/" PATHS_STATE_NAME
#define PATHS_METADATA PATHS_STATE "/metadata.json"
#define PATHS_BACKUP PATHS_STATE "/backup"
#define PATHS_BACKUP_CONF PATHS_BACKUP "/gridd.conf"
#define PATHS_TOKEN_BACKUP PATHS_BACKUP "/tokens"
#define PATHS_SEAL PATHS_STATE "/seal.json"  /* what a seal searches for: steps/seal.h */
#define PATHS_JOURNAL PATHS_STATE "/journal" /* what is under way: steps/intent.h */

#define PATHS_LOGS "/var/log/vgpu-guest-agent"
#define PATHS_LOCK_DIR "/run"
#define PATHS_LOCK PATHS_LOCK_DIR "/vgpu-guest-agent.lock"
#define PATHS_NOTED "/run/vgpu-guest-agent-kernels"         /* see commands/noted.h */
#define PATHS_LOCK_FORMER "/run/lock/vgpu-guest-agent.lock" /* where it was before */

/* What other programs may read (contract, section 6). */
#define PATHS_RUN "/run/vgpu-guest-agent"
#define PATHS_STATUS PATHS_RUN "/status.json"
#define PATHS_LICENSED PATHS_RUN "/licensed"
#define PATHS_METRICS PATHS_RUN "/metrics.prom" /* see dist/monitor-prepare */
#define PATHS_ROTATE PATHS_RUN "/rotate"

/* Root's to make, so not in that folder, which is the monitor's. */
#define PATHS_CHANGING_NAME "vgpu-guest-agent-changing"
#define PATHS_CHANGING "/run/" PATHS_CHANGING_NAME
#define PATHS_LAST_RUN_NAME "vgpu-guest-agent-run.json" /* see core/last_run.h */
#define PATHS_LAST_RUN "/run/" PATHS_LAST_RUN_NAME
#define PATHS_FINAL "/run/vgpu-guest-agent-final" /* for the unit: core/last_run.h */

/* What was taken away by hand stays away: steps/sealed.h. */
#define PATHS_TOKEN_BY_HAND "/run/vgpu-guest-agent-token" /* steps/license/token.h */
#define PATHS_SEALED "/run/vgpu-guest-agent-sealed"

/* Which config drive was there at the first look of this boot, or "none". In a folder of
 * root's. */
#define PATHS_DRIVE_NOTE "/run/vgpu-guest-agent-drive"

/* Kernel modules and what they are made of. */
#define PATHS_MODULES "updates/vgpu-guest-agent" /* below /lib/modules/REL */
#define PATHS_SOURCES "/usr/src/vgpu-guest-agent"
#define PATHS_BLACKLIST "/etc/modprobe.d/vgpu-guest-agent.conf"
#define PATHS_DKMS_SOURCES "/usr/src/nvidia-"            /* then VERSION */
#define PATHS_DKMS_NEW "/usr/src/.vgpu-guest-agent-dkms" /* until they are whole */
#define PATHS_DKMS_REGISTRY \
	"/var/lib/dkms/nvidia" /* then VERSION, kernel, architecture */
#define PATHS_DKMS_SIGNING "/etc/dkms/framework.conf.d/vgpu-guest-agent.conf"

/* The driver's user space and its daemon. */
#define PATHS_SMI "/usr/bin/nvidia-smi"
#define PATHS_GRIDD "/usr/bin/nvidia-gridd"
#define PATHS_NVIDIA "/etc/nvidia"
#define PATHS_GRIDD_CONF PATHS_NVIDIA "/gridd.conf"
#define PATHS_TOKENS PATHS_NVIDIA "/ClientConfigToken"
#define PATHS_TOKEN_NAME "client_configuration_token.tok"
#define PATHS_TOKEN PATHS_TOKENS "/" PATHS_TOKEN_NAME
#define PATHS_GRIDD_STATE "/var/lib/nvidia"
#define PATHS_TRUSTED_STORE PATHS_GRIDD_STATE "/GridLicensing"
#define PATHS_UNITS "/usr/lib/systemd/system"
#define PATHS_WANTS "/etc/systemd/system/multi-user.target.wants"
#define PATHS_GRIDD_UNIT "nvidia-gridd.service"
#define PATHS_UNIT_FILE PATHS_UNITS "/" PATHS_GRIDD_UNIT
#define PATHS_UNIT_LINK PATHS_WANTS "/" PATHS_GRIDD_UNIT
