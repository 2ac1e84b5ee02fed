/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/detect.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"

#define DEVICES "/bus/pci/devices"
#define DEVICES_MAX 65536
#define ATTRIBUTE_MAX 4096
#define OS_RELEASE_MAX (64u << 10)

/* "0000:06:00.0"; the domain may be longer. */
static bool is_address(const char *name)
{
	size_t domain = strspn(name, "0123456789abcdef");
	const char *rest = name + domain;

	return domain >= 4 && strlen(name) < sizeof(((struct gpu *)NULL)->address) &&
	       rest[0] == ':' && isxdigit((unsigned char)rest[1]) &&
	       isxdigit((unsigned char)rest[2]) && rest[3] == ':' &&
	       isxdigit((unsigned char)rest[4]) && isxdigit((unsigned char)rest[5]) &&
	       rest[6] == '.' && isdigit((unsigned char)rest[7]) && rest[8] == '\0';
}

/* A device may be unplugged between two looks. */
static bool is_gone(const struct error *why)
{
	return why->errnum == ENOENT || why->errnum == ENOTDIR || why->errnum == ENODEV ||
	       why->errnum == ENXIO;
}

/*
 * "0x10de\n". False in `ret_is` where the attribute is not there or holds no such number;
 * one that cannot be read is neither.
 */
static int read_hex(const struct root *sysfs, const char *address, const char *attribute,
		    bool *ret_is, uint32_t *ret_value, struct error *err)
{
	struct error why = ERROR_INIT;
	char path[128], *end;
	cleanup_free char *text = NULL;
	unsigned long value;
	size_t size;

	*ret_is = false;
	(void)text_format(path, sizeof(path), DEVICES "/%s/%s", address, attribute);
	if (file_read(sysfs, path, ATTRIBUTE_MAX, &text, &size, &why) < 0) {
		if (why.errnum == 0 || is_gone(&why))
			return 0;
		*err = why;
		return -1;
	}
	if (!text_starts(text, "0x"))
		return 0;

	errno = 0;
	value = strtoul(text + 2, &end, 16);
	*ret_is = end != text + 2 && (*end == '\n' || *end == '\0') && !errno &&
		  value <= UINT32_MAX;
	*ret_value = (uint32_t)value;
	return 0;
}

/* The number of bytes read: the kernel gives 64 of them to callers without privileges. */
static int read_config(const struct root *sysfs, const char *address,
		       uint8_t config[static GPU_CONFIG_SIZE], size_t *ret_size,
		       struct error *err)
{
	struct error why = ERROR_INIT;
	char path[128];
	cleanup_fd int fd = -1;

	*ret_size = 0;
	(void)text_format(path, sizeof(path), DEVICES "/%s/config", address);
	fd = root_open_at(sysfs, path, O_RDONLY | O_NONBLOCK, 0, &why);
	if (fd >= 0 && file_read_at(fd, 0, config, GPU_CONFIG_SIZE, ret_size, &why) < 0)
		(void)error_prefix(&why, "%s", path);
	/* Without privileges there is a note, and the rest of the report. */
	if (why.errnum == 0 || is_gone(&why) || why.errnum == EACCES ||
	    why.errnum == EPERM)
		return 0;
	*err = why;
	return -1;
}

static void read_driver(const struct root *sysfs, struct gpu *gpu)
{
	struct error ignored = ERROR_INIT;
	char path[128], target[256];

	if (!text_format(path, sizeof(path), DEVICES "/%s/driver", gpu->address) ||
	    root_readlink(sysfs, path, target, sizeof(target), &ignored) < 0)
		return;

	(void)text_copy(gpu->driver, sizeof(gpu->driver), text_base_name(target));
}

/* `ret_is`: whether the function is an NVIDIA GPU. */
static int read_gpu(const struct root *sysfs, const char *address, bool *ret_is,
		    struct gpu *ret_gpu, struct error *err)
{
	uint32_t vendor, class, device, subsystem = 0;
	uint8_t config[GPU_CONFIG_SIZE];
	bool ignored;
	size_t size;

	*ret_is = false;
	if (!is_address(address))
		return 0;
	if (read_hex(sysfs, address, "vendor", ret_is, &vendor, err) < 0)
		return -1;
	*ret_is = *ret_is && vendor == GPU_VENDOR_NVIDIA;
	if (*ret_is && read_hex(sysfs, address, "class", ret_is, &class, err) < 0)
		return -1;
	*ret_is = *ret_is && gpu_is_class(class);
	if (*ret_is && read_hex(sysfs, address, "device", ret_is, &device, err) < 0)
		return -1;
	if (!*ret_is)
		return 0;

	if (read_hex(sysfs, address, "subsystem_device", &ignored, &subsystem, err) < 0 ||
	    read_config(sysfs, address, config, &size, err) < 0)
		return -1;
	*ret_gpu = (struct gpu){ .device = (uint16_t)device,
				 .subsystem_device = (uint16_t)subsystem,
				 .class = class };
	(void)text_copy(ret_gpu->address, sizeof(ret_gpu->address), address);
	gpu_read_config(ret_gpu, config, size);
	read_driver(sysfs, ret_gpu);
	return 0;
}

int detect_gpus(const struct root *sysfs, struct gpu_list *ret_gpus, struct error *err)
{
	cleanup_free struct gpu_list *gpus = calloc(1, sizeof(*gpus));
	cleanup_strv char **names = NULL;

	if (!gpus)
		return error_set_errno(err, ENOMEM, "looking for GPUs");
	if (root_list(sysfs, DEVICES, DEVICES_MAX, &names, err) < 0)
		return error_prefix(err, "looking for GPUs");

	for (char **name = names; *name; name++) {
		struct gpu gpu;
		bool is;

		if (read_gpu(sysfs, *name, &is, &gpu, err) < 0)
			return error_prefix(err, "looking for GPUs");
		if (!is)
			continue;
		if (gpus->count == GPU_MAX)
			return error_set(err, ERROR_INTERNAL,
					 "more than %d NVIDIA GPUs in this system",
					 GPU_MAX);
		gpus->gpus[gpus->count++] = gpu;
	}

	*ret_gpus = *gpus;
	return 0;
}

int detect_os(const struct root *root, struct os *ret_os, struct error *err)
{
	static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };
	struct os os = {
		.id = "linux"
	}; /* what os-release(5) says of a file without ID */
	struct error missing = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && !text; i++) {
		if (file_read(root, paths[i], OS_RELEASE_MAX, &text, &size, &missing) <
			    0 &&
		    missing.errnum != ENOENT) {
			*err = missing;
			return -1;
		}
	}
	if (text)
		kernel_read_os_release((struct span){ text, size }, &os);

#if defined(__x86_64__)
	(void)text_copy(os.arch, sizeof(os.arch), "x86_64");
#elif defined(__aarch64__)
	(void)text_copy(os.arch, sizeof(os.arch), "aarch64");
#else
#	error "NVIDIA has no guest driver for this architecture"
#endif
	*ret_os = os;
	return 0;
}

int detect_release(const struct root *root, char *ret_release, size_t size,
		   struct error *err)
{
	cleanup_free char *text = NULL;
	struct span release;
	size_t length;

	if (file_read(root, "/proc/sys/kernel/osrelease", 4096, &text, &length, err) < 0)
		return error_prefix(err, "asking for the running kernel");

	release = span_trim((struct span){ text, length });
	if (!kernel_release_valid(release) || release.len >= size)
		return error_set(err, ERROR_INTERNAL,
				 "the running kernel's release is no name of a folder");
	(void)span_copy(release, ret_release, size);
	return 0;
}
