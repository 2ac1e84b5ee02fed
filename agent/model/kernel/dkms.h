/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The texts that the agent and DKMS exchange: dkms.conf and its signing key on the way
 * there, "dkms status" on the way back.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/*
 * Where sources registered by the agent lie: PATHS_DKMS_SOURCES VERSION holds dkms.conf
 * and the kernel folder of the driver's package under its own name, kernel or
 * kernel-open. So it is a tree as an unpacked package is one. Sources of others have
 * their modules' folders at the top.
 */

/* From the installation on a new kernel is built for, before it not. */
#define DKMS_LIVE "AUTOINSTALL=\"yes\"\n"

/*
 * A dkms.conf without DKMS_LIVE; the caller frees it. NVIDIA's own has placeholders that
 * only nvidia-installer fills in, and leaves the compiler to chance. `names` are the
 * folders of the package's kernel folder: those of modules begin with "nvidia". NULL:
 * memory is out.
 */
char *dkms_conf(const char *version, const char *folder, char *const *names);

/* Whether a dkms.conf was made by dkms_conf(). */
bool dkms_conf_is_ours(struct span conf);

/* Whether "dkms status" says that the modules are installed for this kernel. */
bool dkms_is_installed(struct span status, const char *version, const char *release);

/* The certificate that a framework.conf of DKMS's names last, by an absolute path. */
bool dkms_certificate(struct span conf, char *ret_path, size_t size);

/*
 * The lines for DKMS's framework.conf.d that make it sign with this key. False: the paths
 * cannot be said in its syntax, a shell's.
 */
bool dkms_signing(const char *key, const char *cert, char *ret_conf, size_t size);
