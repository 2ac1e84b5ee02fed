/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

#define NAME_SIZE 96     /* NVML_DEVICE_NAME_V2_BUFFER_SIZE */
#define UUID_SIZE 96     /* NVML_DEVICE_UUID_V2_BUFFER_SIZE */
#define DRIVER_SIZE 80   /* NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE */
#define FEATURES_MAX 3   /* NVML_GRID_LICENSE_FEATURE_MAX_COUNT */
#define LICENSE_SIZE 128 /* NVML_GRID_LICENSE_BUFFER_SIZE */
#define CANARY_SIZE 4096 /* behind a structure that a later library may have grown */
#define CANARY_BYTE 0xa5

enum {
	MODE_NONE,
	MODE_PASSTHROUGH,
	MODE_VGPU,
	MODE_HOST_VGPU,
	MODE_HOST_VSGA,
};

enum {
	EXPIRY_NOT_AVAILABLE,
	EXPIRY_INVALID,
	EXPIRY_VALID,
	EXPIRY_NOT_APPLICABLE,
	EXPIRY_PERMANENT,
};

struct pci {
	char legacy[16];
	unsigned domain, bus, device, device_id, subsystem_id;
	char id[32];
};

struct expiry {
	unsigned year;
	unsigned short month, day, hour, minute, second;
	unsigned char status;
};

/* nvmlDeviceGetGridLicensableFeatures_v3; _v4 has the expiry, too. */
struct feature_v3 {
	unsigned code, state;
	char info[LICENSE_SIZE], product[LICENSE_SIZE];
	unsigned enabled;
};
struct feature_v4 {
	unsigned code, state;
	char info[LICENSE_SIZE], product[LICENSE_SIZE];
	unsigned enabled;
	struct expiry expiry;
};
struct features_v3 {
	int supported;
	unsigned count;
	struct feature_v3 features[FEATURES_MAX];
};
struct features_v4 {
	int supported;
	unsigned count;
	struct feature_v4 features[FEATURES_MAX];
};
_Static_assert(sizeof(struct pci) == 68, "nvmlPciInfo_t");
_Static_assert(sizeof(struct feature_v3) == 268, "nvmlGridLicensableFeature_t of _v3");
_Static_assert(sizeof(struct feature_v4) == 284, "nvmlGridLicensableFeature_t of _v4");

/* A device is nvml.h's nvmlDevice_t. */
struct nvml {
	int (*init)(void);
	int (*driver_version)(char *text, unsigned size);
	int (*count)(unsigned *count);
	int (*handle)(unsigned index, void **device);
	int (*pci_info)(void *device, struct pci *pci);
	int (*uuid)(void *device, char *text, unsigned size);
	int (*name)(void *device, char *text, unsigned size);
	int (*mode)(void *device, unsigned *mode);
	int (*features_v4)(void *device, struct features_v4 *features);
	int (*features_v3)(void *device, struct features_v3 *features);
	const char *(*words)(int code);
};

static const struct symbol {
	const char *name;
	size_t offset;
	bool optional;
} symbols[] = {
	{ "nvmlInit_v2", offsetof(struct nvml, init), false },
	{ "nvmlSystemGetDriverVersion", offsetof(struct nvml, driver_version), false },
	{ "nvmlDeviceGetCount_v2", offsetof(struct nvml, count), false },
	{ "nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml, handle), false },
	{ "nvmlDeviceGetPciInfo_v3", offsetof(struct nvml, pci_info), false },
	{ "nvmlDeviceGetUUID", offsetof(struct nvml, uuid), false },
	{ "nvmlDeviceGetName", offsetof(struct nvml, name), false },
	{ "nvmlDeviceGetVirtualizationMode", offsetof(struct nvml, mode), false },
	{ "nvmlDeviceGetGridLicensableFeatures_v4", offsetof(struct nvml, features_v4),
	  true },
	{ "nvmlDeviceGetGridLicensableFeatures_v3", offsetof(struct nvml, features_v3),
	  true },
	{ "nvmlErrorString", offsetof(struct nvml, words), false },
};

static int find_symbols(void *library, struct nvml *nvml, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *address = dlsym(library, symbols[i].name);

		if (!address && !symbols[i].optional)
			return error_set(err, ERROR_DRIVER, "NVML has no %s",
					 symbols[i].name);
		/* C has no conversion from an object's address to a function's. */
		memcpy((char *)nvml + symbols[i].offset, &address, sizeof(address));
	}
	if (!nvml->features_v4 && !nvml->features_v3)
		return error_set(err, ERROR_DRIVER,
				 "NVML has no nvmlDeviceGetGridLicensableFeatures that "
				 "is known");
	return 0;
}

static int fail(const struct nvml *nvml, int code, const char *what, struct error *err)
{
	const char *words = nvml->words(code);

	return error_set(err, ERROR_DRIVER, "NVML: %s: %.100s", what,
			 words ? words : "unknown error");
}

int nvml_load(const char *library, struct nvml **ret_nvml, struct error *err)
{
	cleanup_free struct nvml *nvml = calloc(1, sizeof(*nvml));
	void *handle;
	int code;

	if (!nvml)
		return error_set_errno(err, ENOMEM, "opening NVML");
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		const char *why = dlerror();

		return error_set(err, ERROR_DRIVER, "opening NVML: %.200s",
				 why ? why : library);
	}

	if (find_symbols(handle, nvml, err) < 0)
		return -1;
	code = nvml->init();
	if (code != 0)
		return fail(nvml, code, "starting", err);
	*ret_nvml = take_ptr(nvml);
	return 0;
}

/* The words that DCGM's DcgmVgpu.cpp and nvidia-smi make of it; no field is padded. */
static void say_expiry(const struct expiry *expiry, char *text, size_t size)
{
	switch (expiry->status) {
	case EXPIRY_VALID:
		(void)text_format(text, size, " (Expiry: %u-%u-%u %u:%u:%u GMT)",
				  expiry->year, expiry->month, expiry->day, expiry->hour,
				  expiry->minute, expiry->second);
		return;
	case EXPIRY_INVALID:
		(void)text_copy(text, size, " (Expiry: ERR!)");
		return;
	case EXPIRY_NOT_APPLICABLE:
		(void)text_copy(text, size, " (Expiry: N/A)");
		return;
	case EXPIRY_PERMANENT:
		(void)text_copy(text, size, " (Expiry: Permanent)");
		return;
	default:
		(void)text_copy(text, size, " (Expiry: Not Available)");
	}
}

static const char *mode_name(unsigned mode)
{
	static const char *const names[] = {
		[MODE_NONE] = "None",           [MODE_PASSTHROUGH] = "Pass-Through",
		[MODE_VGPU] = "VGPU",           [MODE_HOST_VGPU] = "Host VGPU",
		[MODE_HOST_VSGA] = "Host VSGA",
	};

	return mode < ARRAY_SIZE(names) ? names[mode] : NULL;
}

static void copy_text(char *target, size_t size, const char *source, size_t source_size)
{
	(void)span_copy((struct span){ source, strnlen(source, source_size) }, target,
			size);
	text_sanitize(target);
}

static int doubt(struct error *err, const char *what)
{
	return error_set(err, ERROR_DRIVER, "NVML: %s", what);
}

/*
 * A library of a later version may write more than the structure that was documented:
 * then what stands behind it is no longer what was put there.
 */
static int get_features(const struct nvml *nvml, void *device,
			struct features_v4 *ret_features, struct error *err)
{
	union {
		struct features_v4 v4;
		struct features_v3 v3;
		unsigned char bytes[sizeof(struct features_v4) + CANARY_SIZE];
	} room;
	size_t size = nvml->features_v4 ? sizeof(room.v4) : sizeof(room.v3);
	int code;

	memset(&room, CANARY_BYTE, sizeof(room));
	memset(&room, 0, size);
	code = nvml->features_v4 ? nvml->features_v4(device, &room.v4)
				 : nvml->features_v3(device, &room.v3);
	if (code != 0)
		return fail(nvml, code, "asking for the license", err);
	for (size_t i = size; i < sizeof(room); i++) {
		if (room.bytes[i] != CANARY_BYTE)
			return doubt(err, "the structure of the license has grown");
	}

	if (nvml->features_v4) {
		*ret_features = room.v4;
		return 0;
	}
	*ret_features = (struct features_v4){ .supported = room.v3.supported,
					      .count = room.v3.count };
	for (size_t i = 0; i < FEATURES_MAX; i++) {
		ret_features->features[i].state = room.v3.features[i].state;
		memcpy(ret_features->features[i].product, room.v3.features[i].product,
		       LICENSE_SIZE);
	}
	return 0;
}

static int read_license(const struct nvml *nvml, void *device, bool vgpu,
			struct license_gpu *gpu, bool *exact, struct error *err)
{
	struct features_v4 features;

	if (get_features(nvml, device, &features, err) < 0)
		return -1;
	if (!features.supported && vgpu)
		return doubt(err, "a vGPU without licensing");
	if (!features.supported)
		return 0;
	if (features.count > FEATURES_MAX || features.count == 0)
		return doubt(err, "an impossible number of licensed products");

	for (size_t i = 0; i < features.count; i++) {
		struct license_feature *feature = &gpu->features[i];
		char status[64] = "Licensed";

		if (!features.features[i].state) {
			(void)text_copy(status, sizeof(status), "Unlicensed");
			*exact = false;
		} else if (nvml->features_v4)
			say_expiry(&features.features[i].expiry,
				   status + sizeof("Licensed") - 1,
				   sizeof(status) - sizeof("Licensed") + 1);
		license_read_status(span_of(status), feature);
		copy_text(feature->product, sizeof(feature->product),
			  features.features[i].product, LICENSE_SIZE);
		if (!feature->product[0])
			return doubt(err, "a product without a name");
	}
	gpu->feature_count = features.count;
	return 0;
}

static int read_gpu(const struct nvml *nvml, unsigned index, struct license_gpu *gpu,
		    bool *exact, struct error *err)
{
	char name[NAME_SIZE + 1] = "", uuid[UUID_SIZE + 1] = "";
	struct pci pci = { .id = "" };
	void *device = NULL;
	unsigned mode = 0;
	int code = nvml->handle(index, &device);

	if (code == 0)
		code = nvml->pci_info(device, &pci);
	if (code == 0)
		code = nvml->uuid(device, uuid, UUID_SIZE);
	if (code == 0)
		code = nvml->name(device, name, NAME_SIZE);
	if (code == 0)
		code = nvml->mode(device, &mode);
	if (code != 0)
		return fail(nvml, code, "asking for a GPU", err);
	if (!mode_name(mode))
		return doubt(err, "an unknown mode of virtualization");

	copy_text(gpu->id, sizeof(gpu->id), pci.id, sizeof(pci.id));
	copy_text(gpu->uuid, sizeof(gpu->uuid), uuid, sizeof(uuid));
	copy_text(gpu->name, sizeof(gpu->name), name, sizeof(name));
	(void)text_copy(gpu->virtualization, sizeof(gpu->virtualization),
			mode_name(mode));
	return read_license(nvml, device, mode == MODE_VGPU, gpu, exact, err);
}

int nvml_read(struct nvml *nvml, struct license_report *ret_report, bool *ret_exact,
	      struct error *err)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	char version[DRIVER_SIZE + 1] = "";
	unsigned count = 0;
	bool exact = true;
	int code;

	if (!report)
		return error_set_errno(err, ENOMEM, "asking NVML");
	code = nvml->driver_version(version, DRIVER_SIZE);
	if (code == 0)
		code = nvml->count(&count);
	if (code != 0)
		return fail(nvml, code, "asking for the driver", err);
	if (count == 0 || count > LICENSE_GPUS_MAX)
		return doubt(err, "an impossible number of GPUs");

	copy_text(report->driver_version, sizeof(report->driver_version), version,
		  sizeof(version));
	for (unsigned i = 0; i < count; i++) {
		if (read_gpu(nvml, i, &report->gpus[i], &exact, err) < 0)
			return -1;
	}
	report->count = count;
	*ret_report = *report;
	*ret_exact = exact;
	return 0;
}
