/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in's nvidia-smi: prints what the real one of its driver generation
 * prints for the state that the system is in, and ends as the real one does.
 */
#include "system.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct license {
	bool active;
	long feature;
	time_t expiry;
};

static void field(int level, const char *key, const char *value)
{
	int column = own_branch() >= 580 ? 55 : own_branch() >= 410 ? 42 : 36;

	printf("%*s%-*s: %s\n", level * 4, "", column - level * 4, key, value);
}

static void section(int level, const char *name)
{
	printf("%*s%s\n", level * 4, "", name);
}

static void read_license(struct license *ret)
{
	char text[1024];
	char value[64];

	memset(ret, 0, sizeof(*ret));
	if (read_text(STATE_FILE, text, sizeof(text)) < 0)
		return;
	ret->active = value_of(text, "licensed", value, sizeof(value)) &&
		      strcmp(value, "1") == 0;
	if (value_of(text, "feature", value, sizeof(value)))
		ret->feature = strtol(value, NULL, 10);
	if (value_of(text, "expiry", value, sizeof(value)))
		ret->expiry = (time_t)strtoll(value, NULL, 10);
}

static void print_license(const struct gpu *gpu, const struct license *license,
			  int number)
{
	bool granted = license->active &&
		       number < setting_number("license_gpus", MAX_GPUS);
	char status[96] = "Unlicensed (Unrestricted)";
	struct tm when;

	if (granted && gmtime_r(&license->expiry, &when))
		snprintf(status, sizeof(status),
			 "Licensed (Expiry: %d-%d-%d %d:%d:%d GMT)", when.tm_year + 1900,
			 when.tm_mon + 1, when.tm_mday, when.tm_hour, when.tm_min,
			 when.tm_sec);
	if (granted && license->expiry <= time(NULL))
		strcpy(status, "Unlicensed (Restricted)");
	if (!gpu->vgpu && license->feature != 2 && license->feature != 4)
		strcpy(status, "Licensed (Expiry: N/A)");
	if (setting_is("smi", "restricted"))
		strcpy(status, "Unlicensed (Restricted)");
	if (setting_is("smi", "bare"))
		strcpy(status, "Unlicensed");
	section(1, "vGPU Software Licensed Product");
	field(2, "Product Name", product_name(gpu, license->feature));
	field(2, "License Status", status);
}

static void print_identity(const struct gpu *gpu, int number)
{
	uint32_t hash = 2166136261U;
	char text[64];

	for (const char *c = gpu->address; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619U;
	field(1, "Serial Number", "N/A");
	snprintf(text, sizeof(text), "GPU-%08x-032a-11f0-825b-5c07%08x", hash, ~hash);
	field(1, "GPU UUID", text);
	snprintf(text, sizeof(text), "%d", number);
	field(1, "Minor Number", text);
	field(1, "VBIOS Version", gpu->vgpu ? "00.00.00.00.00" : "90.04.38.00.03");
	field(1, "MultiGPU Board", "No");
	field(1, "Board ID", "0x600");
	if (own_branch() >= 525)
		field(1, "Board Part Number", "N/A");
	snprintf(text, sizeof(text), "%04X-875-A1", gpu->device);
	field(1, "GPU Part Number", own_branch() >= 525 ? text : "N/A");
	if (own_branch() >= 525)
		field(1, "FRU Part Number", "N/A");
	field(1, "Module ID", "N/A");
}

static void print_pair(const char *name, const char *first, const char *second,
		       const char *value)
{
	section(1, name);
	field(2, first, value);
	field(2, second, value);
}

static void print_head(const struct gpu *gpu)
{
	char text[64];

	printf("GPU 0000%s\n", gpu->address);
	snprintf(text, sizeof(text), "%s %s", own_branch() < 525 ? "GRID" : "NVIDIA",
		 gpu->model);
	field(1, "Product Name", text);
	field(1, "Product Brand", product_name(gpu, 2));
	field(1, "Product Architecture", gpu->device >= 0x2000 ? "Ampere" : "Turing");
	field(1, "Display Mode",
	      own_branch() >= 595 ? "Requested functionality has been deprecated"
				  : "Enabled");
	if (own_branch() >= 595)
		field(1, "Display Attached", "Yes");
	field(1, "Display Active", "Disabled");
	field(1, "Persistence Mode", "Enabled");
	if (own_branch() >= 535)
		field(1, "Addressing Mode", "None");
	print_pair("MIG Mode", "Current", "Pending", "Disabled");
	field(1, "Accounting Mode", "Disabled");
	field(1, "Accounting Mode Buffer Size", "4000");
	print_pair("Driver Model", "Current", "Pending", "N/A");
}

static void print_virtualization(const struct gpu *gpu)
{
	const char *deprecated = "Requested functionality has been deprecated";

	if (own_branch() >= 550)
		field(1, "GPU C2C Mode", "N/A");
	else
		field(1, "GSP Firmware Version", "N/A");
	section(1, "GPU Virtualization Mode");
	field(2, "Virtualization Mode", gpu->vgpu ? "VGPU" : "Pass-Through");
	field(2, "Host VGPU Mode", "N/A");
	if (own_branch() < 550)
		return;
	field(2, "vGPU Heterogeneous Mode", "N/A");
	if (own_branch() < 580)
		print_pair("GPU Reset Status", "Reset Required",
			   "Drain and Reset Recommended",
			   own_branch() >= 570 ? deprecated : "N/A");
	if (own_branch() >= 570)
		field(1, "GPU Recovery Action", "None");
	field(1, "GSP Firmware Version", "N/A");
}

static void print_tail(const struct gpu *gpu)
{
	char text[64];

	section(1, "IBMNPU");
	field(2, "Relaxed Ordering Mode", "N/A");
	section(1, "PCI");
	snprintf(text, sizeof(text), "0x%04X10DE", gpu->device);
	field(2, "Device Id", text);
	snprintf(text, sizeof(text), "0000%s", gpu->address);
	field(2, "Bus Id", text);
	snprintf(text, sizeof(text), "0x%04X10DE", gpu->subsystem);
	field(2, "Sub System Id", text);
	field(1, "Fan Speed", "N/A");
	field(1, "Performance State", "P0");
	section(1, "FB Memory Usage");
	field(2, "Total", "8192 MiB");
	field(2, "Used", "1 MiB");
	field(1, "Compute Mode", "Default");
	section(1, "Temperature");
	field(2, "GPU Current Temp", "N/A");
	field(1, "Processes", "None");
	printf("\n");
}

static void print_gpu(const struct gpu *gpu, const struct license *license, int number)
{
	print_head(gpu);
	print_identity(gpu, number);
	section(1, "Inforom Version");
	field(2, "Image Version", "N/A");
	field(2, "OEM Object", "N/A");
	field(2, "ECC Object", "N/A");
	field(2, "Power Management Object", "N/A");
	if (own_branch() >= 525)
		print_pair("Inforom BBX Object Flush", "Latest Timestamp",
			   "Latest Duration", "N/A");
	print_pair("GPU Operation Mode", "Current", "Pending", "N/A");
	print_virtualization(gpu);
	if (setting_is("smi", "half")) {
		fflush(stdout);
		_exit(0);
	}
	print_license(gpu, license, number);
	print_tail(gpu);
}

static const char *cuda_version(void)
{
	int branch = own_branch();

	return branch >= 580   ? "13.0"
	       : branch >= 570 ? "12.8"
	       : branch >= 550 ? "12.4"
	       : branch >= 535 ? "12.2"
	       : branch >= 525 ? "12.0"
	       : branch >= 510 ? "11.6"
			       : "11.4";
}

static void print_query(const struct gpu *gpus, int count)
{
	struct license license;
	char text[64];
	time_t now = time(NULL);
	struct tm when;

	read_license(&license);
	printf("\n==============NVSMI LOG==============\n\n");
	localtime_r(&now, &when);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &when);
	field(0, "Timestamp", text);
	field(0, own_branch() >= 610 ? "KMD Version" : "Driver Version", STANDIN_VERSION);
	field(0, own_branch() >= 610 ? "CUDA UMD Version" : "CUDA Version",
	      cuda_version());
	snprintf(text, sizeof(text), "%d", count);
	printf("\n");
	field(0, "Attached GPUs", text);
	for (int i = 0; i < count; i++)
		print_gpu(&gpus[i], &license, i);
}

static void print_list(const struct gpu *gpus, int count)
{
	for (int i = 0; i < count; i++)
		printf("GPU %d: %s %s (UUID: GPU-0000000%d-032a-11f0-825b-5c07a73a413d)\n",
		       i, own_branch() < 525 ? "GRID" : "NVIDIA", gpus[i].model, i);
}

static void print_table(const struct gpu *gpus, int count)
{
	static const char rule[] =
		"+-----------------------------------------+------------------------+"
		"----------------------+\n";

	printf("+-----------------------------------------------------------------------------------------"
	       "+\n");
	printf("| NVIDIA-SMI %-22s %s Version: %-14s CUDA Version: %-8s |\n",
	       STANDIN_VERSION, own_branch() >= 610 ? "KMD   " : "Driver",
	       STANDIN_VERSION, cuda_version());
	printf("%s", rule);
	printf("| GPU  Name                 Persistence-M | Bus-Id          Disp.A | "
	       "Volatile Uncorr. ECC |\n");
	printf("|=========================================+========================+"
	       "======================|\n");
	for (int i = 0; i < count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s %s",
			 own_branch() < 525 ? "GRID" : "NVIDIA", gpus[i].model);
		printf("| %3d  %-28s On  |   0000%s Off | %20s |\n", i, name,
		       gpus[i].address, "N/A");
		printf("%s", rule);
	}
}

static void misbehave(void)
{
	if (setting_is("smi", "deaf")) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
	}
	if (setting_is("smi", "hang") || setting_is("smi", "deaf"))
		for (;;)
			pause();
	if (setting_is("smi", "crash"))
		abort();
	if (setting_is("smi", "noise"))
		printf("Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error\n"
		       "\x1b[31m\xff\xfe\x01garbage\x1b[0m: : :\n");
}

static int fail(int status, const char *text)
{
	printf("%s\n", text);
	return status;
}

static int check_driver(void)
{
	char version[64];

	if (setting_is("smi", "missing-module") || !module_loaded())
		return fail(
			9,
			"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA "
			"driver. Make sure that the latest NVIDIA driver is installed and running.\n");
	module_version(version, sizeof(version));
	if (setting_is("smi", "mismatch") ||
	    (*version && strcmp(version, STANDIN_VERSION) != 0)) {
		fail(18, "Failed to initialize NVML: Driver/library version mismatch");
		if (own_branch() >= 535)
			printf("NVML library version: %.*s\n",
			       (int)strcspn(STANDIN_VERSION, ".") + 4, STANDIN_VERSION);
		return 18;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct gpu gpus[MAX_GPUS];
	const char *option = argc > 1 ? argv[1] : "";
	int status;
	int count;

	misbehave();
	if (argc > 2 || (argc == 2 && strcmp(option, "-q") && strcmp(option, "-L") &&
			 strcmp(option, "--query")))
		return fail(
			2,
			"Invalid combination of input arguments. Please run 'nvidia-smi -h' for "
			"help.\n");
	status = check_driver();
	if (status)
		return status;
	count = gpu_scan(gpus);
	if (count == 0 || setting_is("smi", "no-devices"))
		return fail(6, "No devices were found");
	if (strcmp(option, "-L") == 0)
		print_list(gpus, count);
	else if (argc == 2)
		print_query(gpus, count);
	else
		print_table(gpus, count);
	return 0;
}
