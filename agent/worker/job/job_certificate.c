/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "worker/certificate.h"
#include "worker/job/job.h"
#include "worker/module_signature.h"

#define FILE_MAX (64u << 10)

static int check_key(const struct json *request, struct span certificate,
		     struct error *err)
{
	int fd = (int)json_get_int(request, "key", -1);
	cleanup_free char *text = NULL;
	size_t size;
	int result;

	if (fd < 0)
		return 0;
	if (file_read_fd(fd, FILE_MAX, &text, &size, err) < 0)
		return error_prefix(err, "signing.key");
	result = certificate_check_key(certificate, (struct span){ text, size }, err);
	explicit_bzero(text, size);
	return result < 0 ? error_prefix(err, "signing.key") : 0;
}

static bool is_signed_by(const struct json *request, struct span certificate)
{
	int fd = (int)json_get_int(request, "module", -1);
	struct error why = ERROR_INIT;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 &&
	       module_signature_check(fd, (uint64_t)st.st_size, "the module", certificate,
				      &why) == 0;
}

int job_certificate(const struct json *request, struct json **ret_result,
		    struct error *err)
{
	struct certificate certificate;
	cleanup_free char *text = NULL;
	size_t size;

	if (file_read_fd((int)json_get_int(request, "cert", -1), FILE_MAX, &text, &size,
			 err) < 0 ||
	    certificate_read((struct span){ text, size }, &certificate, err) < 0)
		return error_prefix(err, "signing.cert");
	if (check_key(request, (struct span){ text, size }, err) < 0)
		return -1;
	*ret_result = json_build("{s:s, s:s, s:s, s:b}", "key_id", certificate.key_id,
				 "name", certificate.name, "kind", certificate.kind,
				 "signs",
				 (int)is_signed_by(request, (struct span){ text, size }));
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "reading a certificate");
}
