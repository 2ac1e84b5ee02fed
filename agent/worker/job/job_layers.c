/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "worker/job/job.h"
#include "worker/sandbox.h"

int job_layers(const struct json *request, struct json **ret_result, struct error *err)
{
	struct sandbox_layers layers = sandbox_layers();

	(void)request;
	*ret_result = json_build(
		"{s:I, s:i, s:b, s:b, s:b}", "user", (int64_t)geteuid(), "landlock",
		layers.landlock, "filter", (int)layers.filter, "own_network",
		(int)layers.own_network, "own_mounts", (int)layers.own_mounts);
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "telling the layers");
}
