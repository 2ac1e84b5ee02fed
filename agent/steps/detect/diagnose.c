/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/diagnose.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/license/gridd_conf.h"
#include "model/license/token.h"
#include "model/paths.h"
#include "steps/detect/module_chosen.h"

#define CONF_LIMIT (1u << 20)
#define NAMES_MAX 1000

int diagnose_module(struct runner *runner, const struct root *root, const char *release,
		    struct diagnose_module *ret_module, struct error *err)
{
	struct diagnose_module module = { .is_signed = false };
	char vermagic[MODULE_CHOSEN_MAX], signer[MODULE_CHOSEN_MAX];
	struct span head, tail;

	if (module_chosen(runner, root, release, "vermagic", vermagic, err) < 0 ||
	    module_chosen(runner, root, release, "signer", signer, err) < 0)
		return -1;

	(void)span_split(span_of(vermagic), ' ', &head, &tail);
	(void)span_copy(head, module.vermagic, sizeof(module.vermagic));
	module.is_signed = signer[0] != '\0';
	*ret_module = module;
	return 0;
}

void diagnose_conf(const struct root *root, struct diagnose_conf *ret_conf)
{
	struct diagnose_conf conf = { .exists = false };
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct stat st;
	size_t size = 0;

	if (file_read(root, PATHS_GRIDD_CONF, CONF_LIMIT, &text, &size, &err) < 0) {
		conf.exists = err.errnum != ENOENT ||
			      root_stat(root, PATHS_GRIDD_CONF, &st);
		conf.denied = err.code == ERROR_PERMISSION;
		if (conf.exists)
			(void)text_format(conf.error, sizeof(conf.error), "%.150s",
					  err.text);
		*ret_conf = conf;
		return;
	}

	conf.exists = true;
	if (memchr(text, '\0', size))
		(void)text_copy(conf.error, sizeof(conf.error),
				"it holds NUL bytes: it is no text");
	(void)gridd_conf_get((struct span){ text, size }, "FeatureType",
			     conf.feature_type, sizeof(conf.feature_type));
	(void)gridd_conf_get((struct span){ text, size }, "ClientConfigTokenPath",
			     conf.token_dir, sizeof(conf.token_dir));
	(void)gridd_conf_get((struct span){ text, size }, "ProxyServerAddress",
			     conf.proxy, sizeof(conf.proxy));
	text_sanitize(conf.proxy);
	text_sanitize(conf.feature_type);
	text_sanitize(conf.token_dir);
	if (root_stat(root, PATHS_GRIDD_CONF, &st))
		conf.changed =
			(int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
	*ret_conf = conf;
}

static bool is_bad(const struct root *root, const char *path, bool *ret_denied,
		   char *ret_why, size_t size)
{
	struct error err = ERROR_INIT;
	cleanup_fd int fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, &err);
	struct stat st;

	if (fd < 0) {
		*ret_denied = err.code == ERROR_PERMISSION;
		(void)text_format(ret_why, size, "%.150s", err.text);
		return true;
	}
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
		return false;
	(void)text_format(ret_why, size, "%.120s is no plain file", path);
	return true;
}

bool diagnose_token_folder(const struct root *root, const char *folder, bool *ret_denied,
			   char *ret_why, size_t size)
{
	struct error err = ERROR_INIT;
	cleanup_strv char **names = NULL;
	bool found = false;

	*ret_denied = false;
	if (root_list(root, folder, NAMES_MAX, &names, &err) < 0) {
		*ret_denied = err.code == ERROR_PERMISSION;
		(void)text_format(ret_why, size, "%.150s", err.text);
		return true;
	}
	/* Hidden names are other programs' unfinished files. */
	for (char **name = names; *name && !found; name++) {
		char path[512];

		found = (*name)[0] != '.' &&
			text_format(path, sizeof(path), "%s/%s", folder, *name) &&
			is_bad(root, path, ret_denied, ret_why, size);
	}
	if (found)
		text_sanitize(ret_why);
	return found;
}
