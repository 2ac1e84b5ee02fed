/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/driver/package.h"
#include "worker/bundle/bundle.h"
#include "worker/bundle/bundle_choice.h"
#include "worker/bundle/bundle_file.h"
#include "worker/job/job.h"
#include "worker/runfile.h"

static bool begins(struct span head, const char *magic, size_t size)
{
	return head.len >= size && memcmp(head.at, magic, size) == 0;
}

/* By what the file is; its name decides only where a zip may have bytes in front. */
static enum package_kind recognize(struct span head, struct span name,
				   struct runfile *ret_runfile)
{
	if (begins(head, "PK\3\4", 4) || begins(head, "PK\5\6", 4))
		return PACKAGE_BUNDLE;
	if (begins(head, "!<arch>\ndebian-binary", 21))
		return PACKAGE_DEB;
	if (begins(head, "\xed\xab\xee\xdb", 4))
		return PACKAGE_RPM;
	if (runfile_parse(head.at, head.len, ret_runfile))
		return PACKAGE_RUN;
	return package_kind_of(name) == PACKAGE_BUNDLE ? PACKAGE_BUNDLE : PACKAGE_NONE;
}

static int refuse_content(struct span head, const char *name, struct error *err)
{
	(void)error_set(err, ERROR_INTEGRITY,
			"%s is neither a bundle nor a .run, .deb or .rpm package", name);
	if (begins(span_trim(head), "<", 1))
		return error_hint(err, "it is a web page: is the URL that of the file "
				       "itself, and is nothing to be confirmed or "
				       "logged in to first?");
	return -1;
}

static int list_members(int fd, struct json *members, struct error *err)
{
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	struct bundle_file file;

	if (bundle_file_begin(&file, fd, err) < 0 ||
	    bundle_open(&file.source, &bundle, err) < 0)
		return -1;
	for (size_t i = 0; i < bundle.count; i++) {
		if (bundle_choice_is_driver(&bundle.members[i]) &&
		    bundle_check(&bundle, &bundle.members[i], err) < 0)
			return -1;
	}
	return bundle_choice_list(&bundle, members, err);
}

int job_inspect(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup_json struct json *members = json_build("[]");
	cleanup_free char *head = malloc(RUNFILE_HEAD_MAX);
	int fd = (int)json_get_int(request, "input", -1);
	const char *given = json_get_string(request, "name");
	struct runfile runfile = { 0 };
	enum package_kind kind;
	char name[256];
	size_t size;

	if (!members || !head)
		return error_set_errno(err, ENOMEM, "reading the file");
	(void)text_copy(name, sizeof(name), given ? given : "the file");
	text_sanitize(name);
	if (file_read_at(fd, 0, head, RUNFILE_HEAD_MAX, &size, err) < 0)
		return -1;

	kind = recognize((struct span){ head, size }, span_of(name), &runfile);
	if (kind == PACKAGE_NONE)
		return refuse_content((struct span){ head, size }, name, err);
	if (kind == PACKAGE_BUNDLE && list_members(fd, members, err) < 0)
		return error_prefix(err, "%s", name);

	*ret_result = json_build("{s:s, s:o, s:o, s:O}", "kind", package_kind_name(kind),
				 "version", json_words_or_null(runfile.version), "arch",
				 json_words_or_null(runfile.arch), "members", members);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "reading the file");
	return 0;
}
