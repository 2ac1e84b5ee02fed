/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stand-in's nvidia-smi and nvidia-gridd both look at: the PCI bus, the
 * loaded kernel module, the settings a test left in /etc/nvidia/standin.conf and
 * the state that nvidia-gridd keeps. All paths are below $STANDIN_ROOT if set.
 */
#ifndef STANDIN_SYSTEM_H
#define STANDIN_SYSTEM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define STATE_FOLDER "/run/nvidia-gridd"
#define STATE_FILE STATE_FOLDER "/standin.state"
#define MAX_GPUS 32

struct gpu {
	char address[16]; /* 0000:06:00.0 */
	unsigned device;
	unsigned subsystem;
	bool vgpu; /* its configuration space carries the 'VF' capability */
	bool compute;
	char model[24]; /* T4-8Q */
};

/* The path below $STANDIN_ROOT, in a buffer of the caller's. */
char *path_at(char ret_path[static PATH_MAX], const char *path);

/* Reads at most size - 1 bytes and ends them with NUL; -1 if it cannot. */
long read_text(const char *path, char *ret_text, size_t size);

/* The last "key=value" line of a text, blanks and quotes removed. */
bool value_of(const char *text, const char *key, char *ret_value, size_t size);

/* A setting of /etc/nvidia/standin.conf, or the fallback; good until the next call. */
const char *setting(const char *key, const char *fallback);
bool setting_is(const char *key, const char *value);
long setting_number(const char *key, long fallback);

/* Functions of NVIDIA's with class 0x0300 or 0x0302, in the bus's order. */
int gpu_scan(struct gpu ret_gpus[static MAX_GPUS]);

bool module_loaded(void);

/* Empty where the module does not say. */
void module_version(char *ret_version, size_t size);

/* The product a GPU needs a license for; feature as in gridd.conf. */
const char *product_name(const struct gpu *gpu, long feature);

int own_branch(void);

#endif
