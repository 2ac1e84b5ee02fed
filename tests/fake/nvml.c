/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that stand in for libnvidia-ml.so.1 in tests/unit/test_nvml.c. Each BEHAVIOUR
 * is built as a library of its own; none shares a line with the agent.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LICENSED 1
#define CRASHES 2
#define HANGS 3
#define MISMATCHED 4
#define UNLICENSED 5
#define GROWN 6
#define WITHOUT_V4 7
#define WITHOUT_SYMBOL 8
#define PASSED_THROUGH 9
#define MANY 10
#define ODD 11
#define DIES_LATER 12
#define REPLACED 13 /* by a library of another version, after its first answer */

#define EXPORT __attribute__((visibility("default")))

struct expiry {
	unsigned year;
	unsigned short month, day, hour, min, sec;
	unsigned char status;
};

struct feature {
	unsigned code, state;
	char info[128], product[128];
	unsigned enabled;
#if BEHAVIOUR != WITHOUT_V4
	struct expiry expiry;
#endif
};

struct features {
	int supported;
	unsigned count;
	struct feature features[3];
};

struct pci {
	char legacy[16];
	unsigned domain, bus, device, device_id, subsystem_id;
	char id[32];
};

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned size);
EXPORT int nvmlDeviceGetCount_v2(unsigned *count);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
EXPORT int nvmlDeviceGetPciInfo_v3(void *device, struct pci *pci);
EXPORT int nvmlDeviceGetUUID(void *device, char *text, unsigned size);
EXPORT int nvmlDeviceGetName(void *device, char *text, unsigned size);
EXPORT int nvmlDeviceGetVirtualizationMode(void *device, unsigned *mode);
EXPORT int nvmlDeviceGetGridLicensableFeatures_v3(void *device,
						  struct features *features);
EXPORT int nvmlDeviceGetGridLicensableFeatures_v4(void *device,
						  struct features *features);
EXPORT const char *nvmlErrorString(int code);

int nvmlInit_v2(void)
{
	return BEHAVIOUR == MISMATCHED ? 18 : 0;
}

const char *nvmlErrorString(int code)
{
	return code == 18 ? "RM has detected an NVML/RM version mismatch."
			  : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
	(void)snprintf(text, size, "550.90.07");
	return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
	*count = BEHAVIOUR == MANY ? 64 : BEHAVIOUR == ODD ? 65 : 1;
	return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
	static char handles[64];

	*device = &handles[index];
	return 0;
}

int nvmlDeviceGetPciInfo_v3(void *device, struct pci *pci)
{
	(void)device;
	(void)snprintf(pci->id, sizeof(pci->id), "00000000:02:00.0");
	return 0;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned size)
{
	(void)device;
	(void)snprintf(text, size, "GPU-11111111-2222-3333-4444-555555555555");
	return 0;
}

#if BEHAVIOUR != WITHOUT_SYMBOL
int nvmlDeviceGetName(void *device, char *text, unsigned size)
{
	(void)device;
	(void)snprintf(text, size, "NVIDIA L40S-2Q");
	return 0;
}
#endif

int nvmlDeviceGetVirtualizationMode(void *device, unsigned *mode)
{
	(void)device;
	*mode = BEHAVIOUR == PASSED_THROUGH ? 1 : 2;
	return 0;
}

static int fill(struct features *features)
{
	static int calls;

	if (BEHAVIOUR == CRASHES || (BEHAVIOUR == DIES_LATER && ++calls > 1))
		(void)raise(SIGSEGV);
	if (BEHAVIOUR == REPLACED && ++calls > 1)
		return 18;
	while (BEHAVIOUR == HANGS)
		pause();
	if (BEHAVIOUR == PASSED_THROUGH)
		return 0;
	if (BEHAVIOUR == GROWN)
		memset(features, 1, sizeof(*features) + 4);
	features->supported = 1;
	features->count = 1;
	features->features[0].state = BEHAVIOUR != UNLICENSED;
	/* With no end, as a structure that is read wrongly would be. */
	if (BEHAVIOUR == MANY)
		memset(features->features[0].product, 'x', 128);
	else
		(void)snprintf(features->features[0].product, 128,
			       "NVIDIA RTX Virtual Workstation");
#if BEHAVIOUR != WITHOUT_V4
	features->features[0].expiry = (struct expiry){ 2026, 7, 7, 16, 1, 44, 2 };
#endif
	return 0;
}

#if BEHAVIOUR == WITHOUT_V4
int nvmlDeviceGetGridLicensableFeatures_v3(void *device, struct features *features)
#else
int nvmlDeviceGetGridLicensableFeatures_v4(void *device, struct features *features)
#endif
{
	(void)device;
	return fill(features);
}
