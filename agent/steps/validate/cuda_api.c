/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/validate/cuda_api.h"

#include <dlfcn.h>
#include <string.h>

int cuda_api_check(const struct cuda_api *api, cuda_result result, const char *what,
		   struct error *err)
{
	const char *name = NULL;

	if (result == 0)
		return 0;
	if (api->cuGetErrorName(result, &name) != 0 || !name)
		name = "unknown error";
	(void)error_set(err, ERROR_DRIVER, "%s: %.64s (%d)", what, name, result);
	return error_hint(err,
			  "nvidia-smi and the kernel's log say more: dmesg | grep -i "
			  "-e NVRM -e Xid");
}

void cuda_api_close(struct cuda_api *api)
{
	if (api->library)
		(void)dlclose(api->library);
}

#define SYMBOL(symbol, is_optional)                                     \
	{                                                               \
#		symbol, offsetof(struct cuda_api, symbol), is_optional \
	}
static const struct symbol {
	const char *name;
	size_t offset;
	bool optional;
} symbols[] = {
	SYMBOL(cuInit, false),
	SYMBOL(cuGetErrorName, false),
	SYMBOL(cuDeviceGetCount, false),
	SYMBOL(cuDeviceGet, false),
	SYMBOL(cuDeviceGetName, false),
	SYMBOL(cuDeviceGetUuid, false),
	SYMBOL(cuDeviceTotalMem_v2, false),
	SYMBOL(cuDeviceGetAttribute, false),
	SYMBOL(cuCtxCreate_v2, false),
	SYMBOL(cuCtxDestroy_v2, false),
	SYMBOL(cuModuleLoadData, false),
	SYMBOL(cuModuleGetFunction, false),
	SYMBOL(cuMemAlloc_v2, false),
	SYMBOL(cuMemcpyHtoD_v2, false),
	SYMBOL(cuMemcpyDtoH_v2, false),
	SYMBOL(cuMemcpyDtoDAsync_v2, false),
	SYMBOL(cuMemsetD32_v2, false),
	SYMBOL(cuLaunchKernel, false),
	SYMBOL(cuStreamCreate, false),
	SYMBOL(cuEventCreate, false),
	SYMBOL(cuEventRecord, false),
	SYMBOL(cuEventSynchronize, false),
	SYMBOL(cuEventElapsedTime, false),
	SYMBOL(cuStreamBeginCapture_v2, true),
	SYMBOL(cuStreamEndCapture, true),
	SYMBOL(cuGraphInstantiateWithFlags, true),
	SYMBOL(cuGraphLaunch, true),
	SYMBOL(cuGraphExecDestroy, true),
	SYMBOL(cuGraphDestroy, true),
};
#undef SYMBOL

int cuda_api_open(const char *library, struct cuda_api *api, struct error *err)
{
	bool has_graphs = true;

	api->library = dlopen(library ? library : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!api->library) {
		(void)error_set(err, ERROR_DRIVER, "the driver's CUDA library: %.200s",
				dlerror());
		return error_hint(err, "install the driver: vgpu-guest-agent run");
	}
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *found = dlsym(api->library, symbols[i].name);

		if (!found && symbols[i].optional)
			has_graphs = false;
		else if (!found)
			return error_set(err, ERROR_DRIVER,
					 "the driver's CUDA library has no %s",
					 symbols[i].name);
		memcpy((char *)api + symbols[i].offset, &found, sizeof(found));
	}
	if (!has_graphs)
		api->cuGraphLaunch = NULL;
	return cuda_api_check(api, api->cuInit(0), "starting CUDA", err);
}
