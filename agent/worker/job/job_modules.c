/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/job.h"
#include "worker/module_archive.h"

int job_modules(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(module_archive_done) struct module_archive archive = { .count = 0 };
	const struct json *list = json_get(request, "outputs");
	int outputs[BUILD_MODULES_MAX];
	size_t count = json_count(list);

	if (count > BUILD_MODULES_MAX)
		return error_set(err, ERROR_INTERNAL, "the request has too many outputs");
	for (size_t i = 0; i < count; i++)
		outputs[i] = (int)json_as_int(json_at(list, i));
	if (module_archive_read((int)json_get_int(request, "input", -1), outputs, count,
				&archive, err) < 0)
		return error_prefix(err, "the module archive");

	return module_archive_answer(&archive, ret_result, err);
}
