/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/noted.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "commands/commands.h"
#include "model/kernel/kernel.h"
#include "model/paths.h"

#define NAMES_MAX 1000
#define PATH_SIZE (sizeof(PATHS_NOTED) + KERNEL_RELEASE_MAX + 2)

static void warn(const char *release, const struct error *err)
{
	log_line(LOG_LEVEL_WARNING, "warning: no NVIDIA driver for kernel %s yet: %s",
		 release, err->text);
}

void command_noted_forget(const struct root *root, const struct options *options)
{
	for (size_t i = 0; i < options->kernel_count; i++) {
		char path[PATH_SIZE];

		if (kernel_release_valid(span_of(options->kernels[i])) &&
		    text_format(path, sizeof(path), PATHS_NOTED "/%s",
				options->kernels[i]))
			root_discard(root, path);
	}
}

bool command_noted_waits(const struct root *root)
{
	cleanup_strv char **names = NULL;
	struct error ignored = ERROR_INIT;

	return root_list(root, PATHS_NOTED, NAMES_MAX, &names, &ignored) == 0 && names[0];
}

/*
 * The next kernel, whose note is now ".REL": one of the same name that comes meanwhile is
 * another. Such a name is also what a killed one of us has left. False: there is none.
 */
static bool take(const struct root *root, char *ret_release)
{
	cleanup_strv char **names = NULL;
	struct error err = ERROR_INIT;

	if (root_list(root, PATHS_NOTED, NAMES_MAX, &names, &err) < 0)
		return false;
	for (char **name = names; *name; name++) {
		const char *release = *name + ((*name)[0] == '.');
		char from[PATH_SIZE], to[PATH_SIZE];

		if (!kernel_release_valid(span_of(release)) ||
		    !text_format(from, sizeof(from), PATHS_NOTED "/%s", *name) ||
		    !text_format(to, sizeof(to), PATHS_NOTED "/.%s", release))
			continue;
		(void)text_copy(ret_release, KERNEL_RELEASE_MAX, release);
		if (root_rename(root, from, to, &err) == 0)
			return true;
		warn(release, &err);
	}
	return false;
}

/* The driver whose kernel sources are kept; "" where none of ours is installed. */
static void find_version(const struct root *root, char *ret_version, size_t size)
{
	cleanup_strv char **names = NULL;
	struct error ignored = ERROR_INIT;

	ret_version[0] = '\0';
	if (root_list(root, PATHS_SOURCES, NAMES_MAX, &names, &ignored) < 0)
		return;
	for (char **name = names; *name; name++)
		(void)text_copy(ret_version, size, *name);
}

/* What the hook asks for: nothing of the package manager's, and the driver that is there.
 */
static int prepare(const struct request *of, const char *version, const char *release,
		   struct request *ret_request, struct error *err)
{
	static char wish[64];
	struct options *options = &ret_request->options;

	*ret_request = *of;
	options->driver = NULL;
	options->unattended = true; /* a guest that is sealed meanwhile stays so */
	options->kernels[0] = release;
	options->kernel_count = 1;
	if (options->set_count + 2 > CONTEXT_SETS_MAX ||
	    !text_format(wish, sizeof(wish), "driver.version=%s", version))
		return error_set(err, ERROR_INTERNAL, "no room for its settings");
	options->sets[options->set_count++] = "driver.prerequisites=never";
	options->sets[options->set_count++] = wish;
	return 0;
}

static int build(const struct request *request, int cancel_fd, struct error *err)
{
	static struct agent agent; /* too large for the stack */
	cleanup_json struct json *report = NULL;
	int result;

	agent_init(&agent, &request->options, cancel_fd);
	agent.tools.step = "install";
	result = agent_open(&agent, err);
	if (result == 0)
		result = state_open(&agent.context.root, &agent.state, err);
	if (result == 0)
		result = command_run_install(&agent, request, &report, err);
	agent_close(&agent);
	return result;
}

size_t command_noted_build(const struct agent *agent, const struct request *request,
			   int cancel_fd)
{
	static struct request own;
	const struct root *root = &agent->context.root;
	char release[KERNEL_RELEASE_MAX], version[32], path[PATH_SIZE];
	size_t count = 0;

	for (; take(root, release); count++) {
		struct error err = ERROR_INIT;

		find_version(root, version, sizeof(version));
		if (version[0] && (prepare(request, version, release, &own, &err) < 0 ||
				   build(&own, cancel_fd, &err) < 0)) {
			if (err.interrupted)
				return 0;
			warn(release, &err);
		}
		text_path(path, sizeof(path), PATHS_NOTED "/.%s", release);
		root_discard(root, path);
	}
	return count;
}
