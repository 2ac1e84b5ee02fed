/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "worker/certificate.h"
#include "worker/job/job.h"
#include "worker/module_archive.h"

#define CERTIFICATE_MAX (64u << 10)

/*
 * "signed_by" and "certificate" of the manifest, where the request brings the signer's
 * certificate.
 */
static int name_signer(const struct json *request, struct json *manifest,
		       struct error *err)
{
	int fd = (int)json_get_int(request, "cert", -1);
	cleanup_free char *text = NULL;
	struct certificate certificate;
	cleanup_free char *pem = NULL;
	char title[CERTIFICATE_TITLE_SIZE];
	size_t size;

	if (fd < 0)
		return 0;
	if (file_read_fd(fd, CERTIFICATE_MAX, &text, &size, err) < 0)
		return error_prefix(err, "signing.cert");
	if (certificate_read((struct span){ text, size }, &certificate, err) < 0)
		return error_prefix(err, "signing.cert");
	certificate_title(&certificate, title);
	pem = certificate_pem((struct span){ text, size });
	if (!pem || json_set(manifest, "signed_by", json_words(title)) < 0 ||
	    json_set(manifest, "certificate", json_words(pem)) < 0)
		return error_set_errno(err, ENOMEM, "packing");
	return 0;
}

int job_pack(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(module_archive_done) struct module_archive archive = { .count = 0 };
	const struct json *list = json_get(request, "modules");
	cleanup_free char *manifest = json_print(json_get(request, "manifest"));

	if (!manifest)
		return error_set_errno(err, ENOMEM, "packing");
	if (json_parse(manifest, strlen(manifest), &archive.manifest, err) < 0 ||
	    name_signer(request, archive.manifest, err) < 0)
		return -1;
	archive.count = json_count(list);
	if (archive.count > BUILD_MODULES_MAX)
		return error_set(err, ERROR_INTERNAL, "the request has too many modules");
	for (size_t i = 0; i < archive.count; i++) {
		const struct json *module = json_at(list, i);
		const char *name = json_get_string(module, "name");

		archive.files[i].fd = (int)json_get_int(module, "input", -1);
		if (!name || !text_copy(archive.files[i].name,
					sizeof(archive.files[i].name), name))
			return error_set(err, ERROR_INTERNAL, "a module has no name");
	}
	if (module_archive_check_signed(&archive, err) < 0)
		return error_recode(err, ERROR_SECURE_BOOT);
	if (module_archive_write(&archive, (int)json_get_int(request, "output", -1),
				 err) < 0)
		return -1;

	return module_archive_answer(&archive, ret_result, err);
}
