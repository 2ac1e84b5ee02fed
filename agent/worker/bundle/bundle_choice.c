/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_choice.h"

#include <errno.h>

#include "model/driver/package.h"

bool bundle_choice_is_driver(const struct bundle_member *member)
{
	struct package package;
	const char *why;

	return !bundle_is_folder(member) && package_parse(member->name, &package, &why) &&
	       package.kind != PACKAGE_BUNDLE;
}

int bundle_choice_list(const struct bundle *bundle, struct json *members,
		       struct error *err)
{
	for (size_t i = 0; i < bundle->count; i++) {
		const struct bundle_member *member = &bundle->members[i];
		struct package package;
		const char *why;

		if (!bundle_choice_is_driver(member) ||
		    !package_parse(member->name, &package, &why))
			continue;
		if (json_append(members,
				json_build("{s:o, s:s, s:s, s:s, s:I}", "name",
					   json_text(member->name.at, member->name.len),
					   "kind", package_kind_name(package.kind),
					   "version", package.version, "arch",
					   package.arch, "size", (int64_t)member->size)) <
		    0)
			return error_set_errno(err, ENOMEM, "reading the archive");
	}
	return 0;
}

int bundle_choice_make(const struct bundle *bundle, const struct member_wish *wish,
		       struct member *ret_member, const struct bundle_member **ret_found,
		       struct error *err)
{
	cleanup_json struct json *members = json_build("[]");
	const struct bundle_member *found;
	struct member member;

	if (!members)
		return error_set_errno(err, ENOMEM, "reading the archive");
	if (bundle_choice_list(bundle, members, err) < 0 ||
	    member_choose(members, wish, &member, err) < 0)
		return -1;
	found = bundle_find(bundle, member.name);
	if (!found)
		return error_set(err, ERROR_INTEGRITY, "%.300s: its name is no text",
				 member.name);
	*ret_member = member;
	*ret_found = found;
	return 0;
}
