/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata_memory.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/driver/package.h"
#include "model/paths.h"

#define MEMORY_MAX (1u << 20)

void metadata_memory_done(struct metadata_memory *memory)
{
	json_free(memory->object);
	*memory = METADATA_MEMORY_INIT;
}

void metadata_memory_read(const struct root *root, struct metadata_memory *ret_memory)
{
	struct error ignored = ERROR_INIT;
	cleanup_json struct json *json = NULL;
	cleanup_free char *text = NULL;
	const struct json *object;
	const char *token;
	size_t size;

	*ret_memory = METADATA_MEMORY_INIT;
	if (file_read(root, PATHS_METADATA, MEMORY_MAX, &text, &size, &ignored) < 0 ||
	    json_parse(text, size, &json, &ignored) < 0 ||
	    json_get_int(json, "schema", 0) != 1)
		return;
	object = json_get(json, "object");
	token = json_get_string(json, "token_sha256");
	if (json_kind(object) == JSON_KIND_OBJECT)
		ret_memory->object = json_build("O", object);
	if (token && !package_sha256(span_of(token), ret_memory->token))
		ret_memory->token[0] = '\0';
	ret_memory->known = true;
}

int metadata_memory_write(const struct root *root, const struct metadata_memory *memory,
			  struct error *err)
{
	cleanup_json struct json *json = json_build(
		"{s:i, s:o, s:s?}", "schema", 1, "object",
		memory->object ? json_build("O", memory->object) : json_build("n"),
		"token_sha256", memory->token[0] ? memory->token : NULL);
	cleanup_free char *text = json ? json_print(json) : NULL;
	bool changed;

	if (!text)
		return error_set_errno(err, ENOMEM, "keeping what the metadata said");
	if (root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    file_update(root, PATHS_METADATA, span_of(text), 0600, &changed, err) < 0)
		return error_prefix(err, "keeping what the metadata said");
	return 0;
}
