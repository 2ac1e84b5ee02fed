/* SPDX-License-Identifier: Apache-2.0 */
#include "support/openssl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "support/cmocka.h"

void openssl_do(const char *folder, const char *arguments)
{
	char command[1024];

	(void)snprintf(command, sizeof(command), "cd '%s' && openssl %s 2>err.txt",
		       folder, arguments);
	if (system(command) != 0) /* NOLINT(cert-env33-c): words of the tests */
		fail_msg("openssl %s", arguments);
}

char *openssl_read(const char *folder, const char *name, size_t *ret_size)
{
	struct error err = ERROR_INIT;
	char path[512], *text = NULL;
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_read_fd(fd, 1u << 20, &text, ret_size, &err), 0);
	return text;
}
