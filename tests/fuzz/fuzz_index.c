/* SPDX-License-Identifier: Apache-2.0 */

/* The index as anybody may have written it; what was taken of it is taken again. */

#include "model/repository/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_index struct index *index = NULL, *again = NULL;
	cleanup_json struct json *json = NULL, *printed = NULL;
	struct error err = ERROR_INIT;

	if (json_parse((const char *)data, size, &json, &err) < 0 ||
	    index_from_json(json, &index, &err) < 0)
		return 0;

	printed = index_json(index);
	if (!printed || index_from_json(printed, &again, &err) < 0 ||
	    again->warning_count > 0 || again->file_count != index->file_count ||
	    json_count(again->modules) != json_count(index->modules))
		__builtin_trap();
	return 0;
}
