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

/* "0x10de\n"; false when the attribute is not there or is no such number. */
static bool read_hex(const struct root *sysfs, const char *address, const char *attribute,
		     uint32_t *ret_value)
{
	struct error ignored = ERROR_INIT;
	char path[128], *end;
	cleanup_free char *text = NULL;
	unsigned long value;
	size_t size;

	if (!text_format(path, sizeof(path), DEVICES "/%s/%s", address, attribute) ||
	    file_read(sysfs, path, ATTRIBUTE_MAX, &text, &size, &ignored) < 0 ||
	    !text_starts(text, "0x"))
		return false;

	errno = 0;
	value = strtoul(text + 2, &end, 16);
	if (end == text + 2 || (*end != '\n' && *end != '\0') || errno ||
	    value > UINT32_MAX)
		return false;

	*ret_value = (uint32_t)value;
	return true;
}

/* The number of bytes read: the kernel gives 64 of them to callers without privileges. */
static size_t read_config(const struct root *sysfs, const char *address,
			  uint8_t config[static GPU_CONFIG_SIZE])
{
	struct error ignored = ERROR_INIT;
	size_t used = 0;
	char path[128];
	cleanup_fd int fd = -1;

	if (!text_format(path, sizeof(path), DEVICES "/%s/config", address))
		return 0;
	fd = root_open_at(sysfs, path, O_RDONLY | O_NONBLOCK, 0, &ignored);
	while (fd >= 0 && used < GPU_CONFIG_SIZE) {
		ssize_t n = read(fd, config + used, GPU_CONFIG_SIZE - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}

	return used;
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

/* False when the function is no NVIDIA GPU. */
static bool read_gpu(const struct root *sysfs, const char *address, struct gpu *ret_gpu)
{
	uint32_t vendor, class, device, subsystem = 0;
	uint8_t config[GPU_CONFIG_SIZE];

	if (!is_address(address) || !read_hex(sysfs, address, "vendor", &vendor) ||
	    vendor != GPU_VENDOR_NVIDIA || !read_hex(sysfs, address, "class", &class) ||
	    !gpu_is_class(class) || !read_hex(sysfs, address, "device", &device))
		return false;

	(void)read_hex(sysfs, address, "subsystem_device", &subsystem);
	*ret_gpu = (struct gpu){ .device = (uint16_t)device,
				 .subsystem_device = (uint16_t)subsystem,
				 .class = class };
	(void)text_copy(ret_gpu->address, sizeof(ret_gpu->address), address);
	gpu_read_config(ret_gpu, config, read_config(sysfs, address, config));
	read_driver(sysfs, ret_gpu);
	return true;
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

		if (!read_gpu(sysfs, *name, &gpu))
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
