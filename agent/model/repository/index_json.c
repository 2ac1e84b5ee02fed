/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/index.h"

#include "model/repository/prebuilt.h"

static struct json *members_json(const struct index_file *file)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < file->member_count; i++) {
		const struct index_member *member = &file->members[i];

		if (json_append(
			    list,
			    json_build("{s:s, s:s, s:s, s:s, s:I, s:i, s:I, s:I, s:s}",
				       "name", member->name, "kind",
				       package_kind_name(member->kind), "version",
				       member->version, "arch", member->arch, "offset",
				       (int64_t)member->offset, "method",
				       (int)member->method, "compressed_size",
				       (int64_t)member->compressed_size, "size",
				       (int64_t)member->size, "sha256", member->sha256)) <
		    0)
			return NULL;
	}
	return take_ptr(list);
}

static struct json *file_json(const struct index_file *file)
{
	if (file->kind != PACKAGE_BUNDLE)
		return json_build("{s:s, s:s, s:s, s:s, s:I, s:s}", "name", file->name,
				  "kind", package_kind_name(file->kind), "version",
				  file->version, "arch", file->arch, "size",
				  (int64_t)file->size, "sha256", file->sha256);
	return json_build("{s:s, s:I, s:s, s:s?, s:o}", "name", file->name, "size",
			  (int64_t)file->size, "sha256", file->sha256, "host_version",
			  file->host_version[0] ? file->host_version : NULL, "members",
			  members_json(file));
}

struct json *index_json_build(const struct index_build *build)
{
	return json_build(
		"{s:s, s:s, s:s*, s:s, s:b, s:s}", "version", build->version, "kernel",
		build->kernel, "arch", build->arch[0] ? build->arch : NULL, "flavour",
		prebuilt_flavour(build->open), "ok", (int)build->ok, "why", build->why);
}

static struct json *builds_json(const struct index *index)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < index->build_count; i++) {
		if (json_append(list, index_json_build(&index->builds[i])) < 0)
			return NULL;
	}
	return take_ptr(list);
}

struct json *index_json(const struct index *index)
{
	cleanup_json struct json *files = json_build("[]");

	for (size_t i = 0; files && i < index->file_count; i++) {
		if (json_append(files, file_json(&index->files[i])) < 0)
			return NULL;
	}
	return json_build("{s:i, s:I, s:s?, s:s*, s:O, s:O, s:o}", "schema", 1, "serial",
			  index->serial, "created",
			  index->created[0] ? index->created : NULL, "expires",
			  index->expires[0] ? index->expires : NULL, "files", files,
			  "modules", index->modules, "builds", builds_json(index));
}
