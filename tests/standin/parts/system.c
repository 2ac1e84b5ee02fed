/* SPDX-License-Identifier: Apache-2.0 */
#include "system.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *path_at(char ret_path[static PATH_MAX], const char *path)
{
	const char *root = getenv("STANDIN_ROOT");

	snprintf(ret_path, PATH_MAX, "%s%s", root ? root : "", path);
	return ret_path;
}

long read_text(const char *path, char *ret_text, size_t size)
{
	char full[PATH_MAX];
	int fd = open(path_at(full, path), O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t count = 0;

	if (fd < 0)
		return -1;
	while (length < size - 1 &&
	       (count = read(fd, ret_text + length, size - 1 - length)) > 0)
		length += (size_t)count;
	close(fd);
	ret_text[length] = '\0';
	return count < 0 ? -1 : (long)length;
}

static void copy_value(const char *begin, char *ret_value, size_t size)
{
	size_t length;

	begin += strspn(begin, " \t\"");
	length = strcspn(begin, "\"#\r\n");
	while (length > 0 && isspace((unsigned char)begin[length - 1]))
		length--;
	if (length >= size)
		length = size - 1;
	memcpy(ret_value, begin, length);
	ret_value[length] = '\0';
}

bool value_of(const char *text, const char *key, char *ret_value, size_t size)
{
	size_t length = strlen(key);
	bool found = false;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *equals;

		line += strspn(line, " \t\r\n");
		if (strncmp(line, key, length) != 0)
			continue;
		equals = line + length + strspn(line + length, " \t");
		if (*equals != '=')
			continue;
		copy_value(equals + 1, ret_value, size);
		found = true;
	}
	return found;
}

const char *setting(const char *key, const char *fallback)
{
	static char value[PATH_MAX];
	char text[4096];

	if (read_text("/etc/nvidia/standin.conf", text, sizeof(text)) < 0 ||
	    !value_of(text, key, value, sizeof(value)))
		return fallback;
	return value;
}

bool setting_is(const char *key, const char *value)
{
	return strcmp(setting(key, ""), value) == 0;
}

long setting_number(const char *key, long fallback)
{
	const char *value = setting(key, NULL);

	return value ? strtol(value, NULL, 0) : fallback;
}

static unsigned read_number(const char *folder, const char *name)
{
	char path[PATH_MAX];
	char text[32];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (read_text(path, text, sizeof(text)) < 0)
		return 0;
	return (unsigned)strtoul(text, NULL, 16);
}

static bool has_vgpu_capability(const char *folder)
{
	char path[PATH_MAX];
	char text[257];
	unsigned char config[256] = { 0 };
	unsigned position;
	long length;

	snprintf(path, sizeof(path), "%s/config", folder);
	length = read_text(path, text, sizeof(text));
	if (length < 256)
		return false;
	memcpy(config, text, sizeof(config));
	position = config[0x34];
	for (int step = 0; step < 48 && position >= 0x40 && position < 251; step++) {
		if (config[position] == 9 && config[position + 3] == 'V' &&
		    config[position + 4] == 'F')
			return true;
		position = config[position + 1];
	}
	return false;
}

static void name_model(struct gpu *gpu)
{
	static const struct {
		unsigned device;
		const char *name;
		const char *profile;
	} models[] = {
		{ 0x1eb8, "T4", "8Q" },        { 0x2230, "RTXA6000", "24Q" },
		{ 0x1db6, "V100D", "8C" },     { 0x1e30, "RTX6000", "4Q" },
		{ 0x20b0, "A100", "4C" },      { 0x2331, "H100", "8C" },
		{ 0x118a, "GRID K520", "8Q" }, { 0x26b9, "L40S", "2Q" },
	};
	const char *name = "A40";
	const char *profile = "4Q";

	for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++)
		if (models[i].device == gpu->device) {
			name = models[i].name;
			profile = models[i].profile;
		}
	gpu->compute = strchr(profile, 'C') != NULL;
	snprintf(gpu->model, sizeof(gpu->model), "%s%s%s", name, gpu->vgpu ? "-" : "",
		 gpu->vgpu ? profile : "");
}

int gpu_scan(struct gpu ret_gpus[static MAX_GPUS])
{
	static const char bus[] = "/sys/bus/pci/devices";
	char path[PATH_MAX];
	struct dirent **entries = NULL;
	int count = scandir(path_at(path, bus), &entries, NULL, alphasort);
	int found = 0;

	for (int i = 0; i < count; i++) {
		struct gpu *gpu = &ret_gpus[found];
		unsigned class;

		snprintf(path, sizeof(path), "%s/%s", bus, entries[i]->d_name);
		class = read_number(path, "class") >> 8;
		if (found < MAX_GPUS &&
		    strlen(entries[i]->d_name) < sizeof(gpu->address) &&
		    read_number(path, "vendor") == 0x10de &&
		    (class == 0x0300 || class == 0x0302)) {
			memset(gpu, 0, sizeof(*gpu));
			strcpy(gpu->address, entries[i]->d_name);
			gpu->device = read_number(path, "device");
			gpu->subsystem = read_number(path, "subsystem_device");
			gpu->vgpu = has_vgpu_capability(path);
			name_model(gpu);
			found++;
		}
		free(entries[i]);
	}
	free(entries);
	return found;
}

bool module_loaded(void)
{
	char text[65536] = "\n";

	if (read_text(setting("proc_modules", "/proc/modules"), text + 1,
		      sizeof(text) - 1) < 0)
		return false;
	return strstr(text, "\nnvidia ") != NULL;
}

void module_version(char *ret_version, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/nvidia/version",
		 setting("sys_module", "/sys/module"));
	if (read_text(path, ret_version, size) < 0)
		*ret_version = '\0';
	ret_version[strcspn(ret_version, "\n")] = '\0';
}

const char *product_name(const struct gpu *gpu, long feature)
{
	if (!gpu->vgpu && feature != 2 && feature != 4)
		return "NVIDIA Virtual Applications";
	if (gpu->vgpu ? gpu->compute : feature == 4)
		return own_branch() >= 595 ? "NVIDIA vGPU for Compute"
					   : "NVIDIA Virtual Compute Server";
	return "NVIDIA RTX Virtual Workstation";
}

int own_branch(void)
{
	return atoi(STANDIN_VERSION);
}
