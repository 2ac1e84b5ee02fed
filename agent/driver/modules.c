/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/modules.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/modules_prebuilt.h"
#include "driver/replace.h"
#include "driver/toolchain_ahead.h"
#include "model/paths.h"
#include "model/prebuilt.h"
#include "steps/build.h"
#include "steps/build_tree.h"
#include "steps/install.h"
#include "steps/remove.h"
#include "steps/sign.h"
#include "steps/toolchain.h"
#include "steps/unpack.h"

/* An installed driver is about three times its compressed package; and room to move. */
#define ROOM_FACTOR 4

static bool is_package(const struct agent *agent)
{
	enum package_kind kind = agent->match.package.kind;

	return kind == PACKAGE_DEB || kind == PACKAGE_RPM;
}

int modules_unpack(struct agent *agent, struct error *err)
{
	if (unpack_run(agent->package_path, &agent->root, &agent->runner, agent->log_fd,
		       err) < 0)
		return -1;
	(void)text_copy(agent->tree, sizeof(agent->tree), PATHS_TREE);
	agent->tree_is_whole = true;
	return 0;
}

/* Secure Boot refuses what we compile, unless it is signed: known before the compile. */
int modules_check_secure_boot(struct agent *agent, struct error *err)
{
	if (agent->offline || agent->settings.signing.key[0] ||
	    detect_secure_boot(&agent->root) != 1)
		return 0;
	(void)error_set(err, ERROR_SECURE_BOOT,
			"Secure Boot is on and there is no key to sign the modules with");
	return error_hint(err,
			  "set signing.key and signing.cert to a key that this guest "
			  "trusts, or turn Secure Boot off for this instance");
}

static int find_toolchain(struct agent *agent, struct kernel *kernel,
			  struct toolchain *ret_toolchain, struct error *err)
{
	struct toolchain_system system;
	bool missing, dkms = choose_dkms(agent);

	if (toolchain_find(&agent->root, kernel, dkms, ret_toolchain, err) < 0)
		return -1;
	missing = ret_toolchain->missing[0] != '\0';
	/* Headers that have come since we looked: then only `kernel` is read anew below.
	 */
	if (!missing && kernel->headers)
		return 0;
	if (missing && strcmp(agent->settings.driver.prerequisites, "install") != 0) {
		(void)error_set(err, ERROR_PREREQUISITES, "kernel %s: missing: %s",
				kernel->release, ret_toolchain->missing);
		return error_hint(err, "install them, or set driver.prerequisites to "
				       "\"install\"");
	}

	if (missing)
		log_line(LOG_LEVEL_NOTICE, "build      installing %s",
			 ret_toolchain->missing);
	system = (struct toolchain_system){ .root = &agent->root,
					    .os = &agent->os,
					    .runner = &agent->runner,
					    .dkms = dkms,
					    .log_fd = agent->log_fd };
	return toolchain_install(&system, kernel, ret_toolchain, err);
}

static int sign(struct agent *agent, const struct kernel *kernel,
		const struct build_result *built, struct error *err)
{
	struct sign_key key = { .key = agent->settings.signing.key,
				.cert = agent->settings.signing.cert };

	if (!key.key[0])
		return 0;
	return sign_modules(&agent->runner, &agent->root, &key, kernel, built, err);
}

static struct build_input build_input_for(const struct agent *agent, size_t index,
					  const struct toolchain *toolchain)
{
	return (struct build_input){
		.tree = agent->tree,
		.version = agent->match.package.version,
		.open = agent->open_modules,
		.kernel = &agent->targets[index],
		.toolchain = toolchain,
		.log_fd = agent->log_fd,
		.log_path = agent->log_path,
	};
}

/* Headers that were installed just now have made DKMS's own hook build already. */
static int dkms_for(struct agent *agent, size_t index, const struct toolchain *toolchain,
		    struct error *err)
{
	struct build_input input = build_input_for(agent, index, toolchain);
	struct build_dkms_key key = { .key = agent->settings.signing.key,
				      .cert = agent->settings.signing.cert };

	if (detect_driver(&agent->runner, &agent->root, agent->targets[0].release,
			  &agent->driver, err) < 0 ||
	    choose_look_at_targets(agent, input.version, err) < 0)
		return -1;
	if (agent->target_done[index])
		return 0;
	log_line(LOG_LEVEL_NOTICE, "build      compiling for %s, by DKMS",
		 input.kernel->release);
	return build_dkms(&agent->runner, &agent->root, &input, &key, err);
}

static int compile_for(struct agent *agent, size_t index, struct error *err)
{
	struct kernel *kernel = &agent->targets[index];
	struct toolchain toolchain;
	struct build_input input;

	if (modules_check_secure_boot(agent, err) < 0 ||
	    toolchain_ahead_end(agent, err) < 0 ||
	    find_toolchain(agent, kernel, &toolchain, err) < 0)
		return -1;

	if (choose_dkms(agent))
		return dkms_for(agent, index, &toolchain, err);
	log_line(LOG_LEVEL_NOTICE, "build      compiling for %s", kernel->release);
	input = build_input_for(agent, index, &toolchain);
	if (build_modules(&agent->runner, &agent->root, &input, &agent->built[index],
			  err) < 0)
		return -1;
	return sign(agent, kernel, &agent->built[index], err);
}

/* Of all targets, for the step's one line. */
struct tally {
	size_t compiled, taken;
	char why[200]; /* prebuilt modules were not used */
};

/* Prebuilt modules, if there are any that fit: before a compiler is looked for. */
static int build_for(struct agent *agent, size_t index, struct tally *tally,
		     struct error *err)
{
	char why[sizeof(tally->why)];
	bool taken = false;

	if (modules_prebuilt_take(agent, index, &taken, why, sizeof(why), err) < 0)
		return -1;
	if (taken) {
		log_line(LOG_LEVEL_NOTICE, "build      prebuilt modules for %s",
			 agent->targets[index].release);
		tally->taken++;
		return 0;
	}
	if (why[0])
		memcpy(tally->why, why, sizeof(why));
	tally->compiled++;
	return compile_for(agent, index, err);
}

static void describe_build(const struct agent *agent, const struct tally *tally,
			   struct outcome *outcome)
{
	size_t first = 0;

	while (first + 1 < agent->target_count && agent->target_done[first])
		first++;
	(void)text_format(outcome->detail, sizeof(outcome->detail),
			  "%s%s modules for %s%s%s%s%s",
			  tally->compiled == 0 ? "prebuilt " : "",
			  agent->open_modules ? "open" : "proprietary",
			  agent->targets[first].release,
			  tally->compiled + tally->taken > 1 ? " and others" : "",
			  choose_dkms(agent) ? ", by DKMS" : "",
			  tally->why[0] ? ", compiled: " : "", tally->why);
}

/* Packages compile in their own scripts: they need the same tools, found the same way. */
static int prepare_package(struct agent *agent, struct outcome *outcome,
			   struct error *err)
{
	if (strcmp(agent->settings.driver.prebuilt, "only") == 0) {
		(void)error_set(err, ERROR_PREREQUISITES,
				"a .%s package compiles its modules itself",
				package_kind_name(agent->match.package.kind));
		return error_hint(err, "set driver.prebuilt to \"auto\", or use a .run");
	}
	if (modules_check_secure_boot(agent, err) < 0 ||
	    toolchain_ahead_end(agent, err) < 0)
		return -1;
	for (size_t i = 0; i < agent->target_count; i++) {
		struct toolchain toolchain;

		if (find_toolchain(agent, &agent->targets[i], &toolchain, err) < 0)
			return -1;
	}
	outcome->kind = OUTCOME_SKIPPED;
	(void)text_copy(outcome->detail, sizeof(outcome->detail),
			"the package compiles its modules itself");
	return 0;
}

/* A driver that is not the one that works must not wait in DKMS for the next kernel. */
static int abandon(struct agent *agent, struct error *err)
{
	const char *works = agent->state.driver.version;
	struct error ignored = ERROR_INIT;
	bool changed = false;

	if (!err->interrupted && choose_dkms(agent) &&
	    strcmp(agent->match.package.version, works) != 0 &&
	    remove_dkms(&agent->runner, &agent->root, works, agent->log_fd, &changed,
			&ignored) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: build: %s", ignored.text);
	return -1;
}

int modules_build(struct agent *agent, struct outcome *outcome, struct error *err)
{
	const struct settings_driver *driver = &agent->settings.driver;
	const char *version = agent->match.package.version;
	struct tally tally = { .compiled = 0 };

	if (agent_need_log(agent, err) < 0)
		return -1;
	if (is_package(agent))
		return prepare_package(agent, outcome, err);

	if (agent->tree_is_whole) {
		/* The driver before worked with its own flavour, whatever is set now. */
		const char *wanted = agent->putting_back
					     ? prebuilt_flavour(agent->open_modules)
					     : driver->kernel_module;
		struct build_choice choice = { .tree = agent->tree,
					       .version = version,
					       .wanted = wanted };

		if (build_flavour(&agent->runner, &agent->root, &choice,
				  &agent->open_modules, err) < 0)
			return -1;
	} else if (!build_tree_kept(&agent->root, version, agent->tree,
				    sizeof(agent->tree), &agent->open_modules)) {
		return error_set(err, ERROR_PREREQUISITES,
				 "the kernel sources of driver %s are not kept in %s",
				 version, PATHS_SOURCES);
	}

	for (size_t i = 0; i < agent->target_count; i++) {
		if (agent->target_done[i])
			continue;
		if (build_for(agent, i, &tally, err) < 0)
			return abandon(agent, err);
	}
	describe_build(agent, &tally, outcome);
	return 0;
}

/* Everything is in place: what is left is to load it. */
static int install_rest(struct agent *agent, struct outcome *outcome, struct error *err)
{
	bool modules = false, unit = false, loaded = false;

	if (replace_modules(agent, &modules, err) < 0)
		return -1;
	if (agent->driver.grid && install_gridd_unit(&agent->root, &unit, err) < 0)
		return -1;
	agent->units_changed = unit;
	if (replace_load(agent, &loaded, err) < 0 ||
	    replace_tidy(agent, &modules, err) < 0)
		return -1;

	/* What was compiled is in place now. */
	if (modules && fetch_prune(&agent->root, NULL, err) < 0)
		return -1;
	outcome->kind = modules || unit || loaded ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "driver %s%s",
			  agent->match.package.version,
			  agent->offline ? " is in place" : " is loaded");
	return 0;
}

/* A .run over a driver of the package manager's would leave two halves. */
static int refuse_packaged(struct agent *agent, struct error *err)
{
	bool packaged;

	if (agent->state.driver.kind != PACKAGE_NONE ||
	    agent->match.package.kind != PACKAGE_RUN)
		return 0;
	if (detect_driver_packaged(&agent->runner, &agent->root, &packaged, err) < 0)
		return -1;
	if (!packaged)
		return 0;
	(void)error_set(err, ERROR_INSTALL,
			"a driver that the package manager installed is in the way");
	return error_hint(err, "remove its package, then run again");
}

int modules_install(struct agent *agent, struct outcome *outcome, struct error *err)
{
	struct stat st;

	if (agent->match.rule == MATCH_INSTALLED)
		return install_rest(agent, outcome, err);

	if (refuse_packaged(agent, err) < 0)
		return -1;
	if (root_stat(&agent->root, agent->package_path, &st) &&
	    install_check_room(&agent->root, ROOM_FACTOR * (uint64_t)st.st_size, err) < 0)
		return -1;
	if (agent_need_log(agent, err) < 0)
		return -1;
	if (replace_driver(agent, err) < 0)
		return -1;

	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "driver %s%s",
			  agent->match.package.version,
			  agent->offline ? "" : " is loaded and answers");
	return 0;
}

void modules_discard(struct agent *agent)
{
	struct error err = ERROR_INIT;

	if (unpack_discard(&agent->root, &err) < 0 ||
	    build_discard(&agent->root, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}
