/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/module_signature.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "worker/certificate.h"

#define MAGIC "~Module signature appended~\n"
#define TRAILER 12 /* struct module_signature: five bytes, three of padding, a length */
#define TYPE_AT 2
#define TYPE_PKCS7 2
#define LENGTH_AT 8

bool module_signature_find(struct span module, struct span *ret_content,
			   struct span *ret_signature)
{
	const unsigned char *trailer;
	size_t end, size;

	if (!span_ends(module, MAGIC) || module.len < strlen(MAGIC) + TRAILER)
		return false;
	end = module.len - strlen(MAGIC) - TRAILER;
	trailer = (const unsigned char *)module.at + end;
	size = (size_t)trailer[LENGTH_AT] << 24 | (size_t)trailer[LENGTH_AT + 1] << 16 |
	       (size_t)trailer[LENGTH_AT + 2] << 8 | (size_t)trailer[LENGTH_AT + 3];
	if (trailer[TYPE_AT] != TYPE_PKCS7 || size == 0 || size >= end)
		return false;
	*ret_content = (struct span){ module.at, end - size };
	*ret_signature = (struct span){ module.at + end - size, size };
	return true;
}

int module_signature_check(int fd, uint64_t size, const char *name,
			   struct span certificate, struct error *err)
{
	struct span content, signature;
	bool is_signed, fits;
	void *map;

	if (size == 0 || size > SIZE_MAX)
		return error_set(err, ERROR_INTEGRITY, "%s is no module", name);
	map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return error_set_errno(err, errno, "reading %s", name);
	is_signed = module_signature_find((struct span){ map, (size_t)size }, &content,
					  &signature);
	fits = is_signed && certificate_verifies(certificate, content, signature);
	(void)munmap(map, (size_t)size);
	if (fits)
		return 0;
	return error_set(err, ERROR_INTEGRITY,
			 is_signed ? "%s is not signed by the key "
				     "of its certificate"
				   : "%s is not signed",
			 name);
}
