/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/sign.h"

#include <fcntl.h>

#include "base/text.h"

#define SIGN_TIMEOUT_S 60

static int find_tool(const struct root *root, const struct kernel *kernel, char *tool,
		     size_t size, struct error *err)
{
	const char *const folders[] = { kernel->build, kernel->source };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_fd int fd = -1;

		if (!folders[i][0] ||
		    !text_format(tool, size, "%s/scripts/sign-file", folders[i]))
			continue;
		fd = root_open_at(root, tool, O_PATH, 0, &ignored);
		if (fd >= 0)
			return 0;
	}
	(void)error_set(err, ERROR_PREREQUISITES,
			"the headers of kernel %s have no scripts/sign-file",
			kernel->release);
	return error_hint(err, "install the kernel's headers as the distribution packs "
			       "them, or sign the modules elsewhere");
}

int sign_modules(struct runner *runner, const struct root *root,
		 const struct sign_key *key, const struct kernel *kernel,
		 const struct build_result *build, struct error *err)
{
	char tool[256];

	if (find_tool(root, kernel, tool, sizeof(tool), err) < 0)
		return -1;

	for (size_t i = 0; i < build->count; i++) {
		const char *const argv[] = { tool,      "sha256",          key->key,
					     key->cert, build->modules[i], NULL };
		struct run run = { .argv = argv,
				   .timeout_s = SIGN_TIMEOUT_S,
				   .output_limit = 4096 };

		if (run_checked(runner, root, &run, err) < 0) {
			(void)error_prefix(err, "signing %s with %s", build->modules[i],
					   key->key);
			(void)error_recode(err, err->interrupted ? err->code
								 : ERROR_SECURE_BOOT);
			return error_hint(err,
					  "signing.key must be a PEM private key and "
					  "signing.cert its certificate");
		}
	}
	return 0;
}
