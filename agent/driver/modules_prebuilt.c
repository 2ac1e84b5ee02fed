/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/modules_prebuilt.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/modules.h"
#include "model/paths.h"
#include "model/repository.h"
#include "steps/build.h"
#include "steps/fetch.h"
#include "steps/prebuilt.h"
#include "steps/toolchain.h"

static bool is_setting(const struct agent *agent, const char *value)
{
	return strcmp(agent->settings.driver.prebuilt, value) == 0;
}

static const struct json *listed(const struct agent *agent)
{
	return agent->repository.index ? agent->repository.index->modules : NULL;
}

static struct prebuilt_wish wish_for(const struct agent *agent, const char *release,
				     const char *flavour)
{
	return (struct prebuilt_wish){ .version = agent->match.package.version,
				       .kernel = release,
				       .arch = agent->os.arch,
				       .flavour = flavour };
}

/* It compiles its modules itself. */
static bool is_package(const struct agent *agent)
{
	enum package_kind kind = agent->match.package.kind;
	const char *wanted = agent->settings.driver.package;

	return kind == PACKAGE_DEB || kind == PACKAGE_RPM || strcmp(wanted, "deb") == 0 ||
	       strcmp(wanted, "rpm") == 0;
}

bool modules_prebuilt_listed(const struct agent *agent, const char *release)
{
	struct prebuilt_wish wish =
		wish_for(agent, release, agent->settings.driver.kernel_module);
	struct prebuilt found;
	size_t at = 0;

	return !is_setting(agent, "never") && !is_package(agent) && !choose_dkms(agent) &&
	       prebuilt_next(listed(agent), &wish, &at, &found);
}

/* As any file: size and SHA-256 are the index's, and something must vouch for that. */
static int fetch(struct agent *agent, const struct prebuilt *prebuilt,
		 struct fetch_result *ret_result, struct error *err)
{
	char url[SETTINGS_URL_MAX + 3 * PACKAGE_NAME_MAX];
	struct package package = { .kind = PACKAGE_NONE, .size = prebuilt->size };
	struct fetch_input input = { .url = url,
				     .package = &package,
				     .index_signed = agent->repository.index_signed,
				     .index_verified = agent->repository.index_verified,
				     .root = &agent->root,
				     .settings = &agent->settings };

	(void)text_copy(package.name, sizeof(package.name), prebuilt->name);
	(void)text_copy(package.sha256, sizeof(package.sha256), prebuilt->sha256);
	if (!repository_file_url(agent->settings.driver.repository, prebuilt->name, url,
				 sizeof(url)))
		return error_set(err, ERROR_USAGE, "its URL is too long");
	if (fetch_check(&input, err) < 0 || agent_need_transport(agent, err) < 0)
		return -1;
	return fetch_file(&input, &agent->transport, &agent->root, &agent->channel,
			  ret_result, err);
}

static int check(struct agent *agent, const struct prebuilt *prebuilt,
		 const struct prebuilt_content *content, struct error *err)
{
	const char *differs = prebuilt_differs(prebuilt, &content->manifest);

	if (differs)
		return error_set(err, ERROR_INTEGRITY,
				 "its manifest contradicts the index in \"%s\"", differs);
	if (prebuilt_check(&agent->root, prebuilt->kernel, &content->built, err) < 0)
		return -1;
	if (agent->offline || detect_secure_boot(&agent->root) != 1)
		return 0;
	return prebuilt_check_signed(&agent->root, content->manifest.signed_by,
				     &content->built, err);
}

static int take(struct agent *agent, size_t index, const struct prebuilt *prebuilt,
		struct error *err)
{
	cleanup(fetch_result_done) struct fetch_result file = FETCH_RESULT_INIT;
	struct prebuilt_content content;
	char dir[160];

	(void)text_format(dir, sizeof(dir), PATHS_BUILD "/%s", prebuilt->kernel);
	if (fetch(agent, prebuilt, &file, err) < 0 ||
	    prebuilt_unpack(&agent->channel, &agent->root, file.fd, dir, &content, err) <
		    0 ||
	    check(agent, prebuilt, &content, err) < 0)
		return error_prefix(err, "%.160s", prebuilt->name);

	agent->built[index] = content.built;
	return 0;
}

/*
 * Where nobody had to ask the repository so far, as for a new kernel whose driver is
 * here: it is asked only where a compile could not begin at once anyway.
 */
static int need_list(struct agent *agent, const struct kernel *kernel, struct error *err)
{
	struct error ignored = ERROR_INIT;
	struct toolchain toolchain;

	if (agent->repository.source != REPOSITORY_NONE ||
	    !agent->settings.driver.repository[0])
		return 0;
	if (!is_setting(agent, "only") && kernel->headers &&
	    modules_check_secure_boot(agent, &ignored) == 0 &&
	    toolchain_find(&agent->root, kernel, false, &toolchain, &ignored) == 0 &&
	    !toolchain.missing[0])
		return 0;
	return choose_list(agent, err);
}

/* 1: taken; 0: `err` says why not, or nothing; -1: interrupted. */
static int look(struct agent *agent, size_t index, struct error *err)
{
	const char *release = agent->targets[index].release;
	struct prebuilt_wish wish =
		wish_for(agent, release, prebuilt_flavour(agent->open_modules));
	struct prebuilt found;
	size_t at = 0;

	if (need_list(agent, &agent->targets[index], err) < 0)
		return err->interrupted ? -1 : 0;
	while (prebuilt_next(listed(agent), &wish, &at, &found)) {
		*err = ERROR_INIT;
		if (take(agent, index, &found, err) == 0)
			return 1;
		if (err->interrupted)
			return -1;
		log_line(LOG_LEVEL_WARNING,
			 "warning: build: prebuilt modules are not used: %s", err->text);
	}
	return 0;
}

int modules_prebuilt_take(struct agent *agent, size_t index, bool *ret_taken,
			  char *ret_why, size_t size, struct error *err)
{
	struct error why = ERROR_INIT;
	int result = 0;

	*ret_taken = false;
	ret_why[0] = '\0';
	if (is_setting(agent, "never") || choose_dkms(agent))
		return 0;

	result = look(agent, index, &why);
	if (result < 0) {
		*err = why;
		return -1;
	}
	*ret_taken = result == 1;
	if (*ret_taken)
		return 0;
	(void)text_format(ret_why, size, "%s", why.text);
	if (!is_setting(agent, "only"))
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES, "no prebuilt modules for kernel %s: %s",
			agent->targets[index].release,
			why.code ? why.text : "the repository's index lists none");
	return error_hint(err, "make them with build-modules, publish them and a new "
			       "index, or set driver.prebuilt to \"auto\"");
}
