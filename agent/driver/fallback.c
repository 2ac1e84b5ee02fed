/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/fallback.h"

#include <string.h>

#include "base/text.h"
#include "driver/choose.h"
#include "driver/tried.h"

#define NEXT_MAX 3

/* Not what was named, and not the only one there is. */
static bool is_by_host(enum match_rule rule)
{
	return rule == MATCH_BUNDLE || rule == MATCH_CATALOG || rule == MATCH_BRANCH ||
	       rule == MATCH_PREVIOUS_BRANCH;
}

/* Nobody has named it: it was chosen by the host, also when it was installed. */
static bool may_give_way(const struct context *ctx, const struct state *state,
			 const struct work *work)
{
	const struct settings_driver *driver = &ctx->settings.driver;

	if (state->installing.version[0] || driver->url[0] || driver->version[0] ||
	    driver->sha256[0])
		return false;
	return is_by_host(work->match.rule) ||
	       strcmp(state->driver.version, work->driver.version) == 0;
}

/* The version that the rules choose with what is known now; false: none, or one more that
 * is known to fail. */
static bool find_next(const struct context *ctx, struct state *state,
		      struct repository *repository, const struct guest *guest,
		      char ret_version[static VERSION_MAX])
{
	struct error ignored = ERROR_INIT;
	struct work next;
	bool found;

	work_begin(ctx, guest, &next);
	found = choose_driver(ctx, state, repository, false, &next, &ignored) == 0 &&
		is_by_host(next.match.rule) && !next.match.doomed;
	(void)text_copy(ret_version, VERSION_MAX, next.driver.version);
	work_done(&next);
	return found;
}

static bool has_failed(const struct state *state, const char *version, const char *kernel)
{
	for (size_t i = 0; i < state->builds.count; i++) {
		const struct known_build *build = &state->builds.list[i];

		if (!build->ok && strcmp(build->version, version) == 0 &&
		    strcmp(build->kernel, kernel) == 0)
			return true;
	}
	return false;
}

/* The newest kernel here that is older than `release` and could be built for; NULL. */
static const char *find_kernel(const struct state *state, const struct work *work,
			       const char *release)
{
	const struct kernel_list *kernels = &work->guest->kernels;
	const char *best = NULL;

	for (size_t i = 0; i < kernels->count; i++) {
		const struct kernel *kernel = &kernels->kernels[i];

		if (kernel->headers && strverscmp(kernel->release, release) < 0 &&
		    !has_failed(state, work->driver.version, kernel->release) &&
		    (!best || strverscmp(kernel->release, best) > 0))
			best = kernel->release;
	}
	return best;
}

/* " of branch 550 or 535, which this host takes"; "" where the host is not known. */
static void name_branches(const struct work *work, char *ret_text, size_t size)
{
	int host = version_branch(work->guest->host.version);
	int before = version_branch_previous(host);
	int lts = version_branch_previous_lts(host);

	ret_text[0] = '\0';
	if (host && before && lts && lts != before)
		(void)text_format(ret_text, size,
				  " of branch %d, %d or %d, which this host takes", host,
				  before, lts);
	else if (host && before)
		(void)text_format(ret_text, size,
				  " of branch %d or %d, which this host takes", host,
				  before);
	else if (host)
		(void)text_format(ret_text, size, " of branch %d, which this host takes",
				  host);
}

/* The kernel for which a build of this run failed last; NULL: none did. */
static const char *failed_kernel(const struct state *state)
{
	for (size_t i = state->builds.count; i > 0; i--) {
		if (state->builds.list[i - 1].now && !state->builds.list[i - 1].ok)
			return state->builds.list[i - 1].kernel;
	}
	return NULL;
}

/* What would do, first what is here already. `next`: a version that fits, or "". */
static void say_way_out(const struct context *ctx, const struct state *state,
			const struct work *work, const char *next, struct error *err)
{
	const char *kernel = find_kernel(state, work, failed_kernel(state));
	bool named = !may_give_way(ctx, state, work);
	char branches[64], boot[KERNEL_RELEASE_MAX + 40];

	name_branches(work, branches, sizeof(branches));
	(void)text_format(boot, sizeof(boot), "boot %s%s",
			  kernel ? kernel : "an older kernel with its headers",
			  kernel ? ", whose headers are here" : "");
	if (next[0])
		(void)error_hint(err,
				 "%s fits this host, too: %s; or %s; the whole output of "
				 "make is in %s",
				 next,
				 ctx->settings.driver.fallback
					 ? "run again to go on with it"
					 : "driver.fallback = true goes on with it",
				 boot, ctx->tools->log_path);
	else
		(void)error_hint(err,
				 "%s, or %s another guest driver%s; the whole output of "
				 "make is in %s",
				 boot, named ? "name" : "put into the repository",
				 branches, ctx->tools->log_path);
}

bool fallback_next(const struct context *ctx, struct state *state,
		   struct repository *repository, const struct work *work,
		   char ret_version[static VERSION_MAX], struct error *err)
{
	bool found;

	if (!tried_for_good(err) || !failed_kernel(state))
		return false;
	found = may_give_way(ctx, state, work) &&
		find_next(ctx, state, repository, work->guest, ret_version);
	if (found && ctx->settings.driver.fallback &&
	    builds_failed_now(&state->builds) <= NEXT_MAX)
		return true;
	say_way_out(ctx, state, work, found ? ret_version : "", err);
	return false;
}
