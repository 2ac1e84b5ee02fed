/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/support.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "commands/plan.h"
#include "commands/status.h"
#include "model/paths.h"
#include "steps/archive.h"
#include "steps/configure.h"

#define LOGS_MAX 100

static int add_json(struct archive *archive, const char *name, const struct json *json,
		    struct error *err)
{
	cleanup_free char *text = json ? json_print(json) : NULL;

	if (json && !text)
		return error_set_errno(err, ENOMEM, "gathering %s", name);
	return archive_add_text(archive, name, span_of(text ? text : "(not there)\n"),
				err);
}

/* What the other commands say; that they fail is what they then say. */
static int add_reports(struct archive *archive, struct agent *agent, struct error *err)
{
	cleanup_json struct json *status = NULL, *detect = NULL;
	cleanup_json struct json *config = settings_json(&agent->settings);
	struct error ignored = ERROR_INIT;

	if (command_status_read(agent, 0, &status, &ignored) < 0 && ignored.interrupted)
		return error_set_interrupted(err);
	agent->target_count = 0; /* it looks for the kernels again */
	if (command_detect(agent, &detect, &ignored) < 0 && ignored.interrupted)
		return error_set_interrupted(err);
	if (add_json(archive, "status.json", status, err) < 0 ||
	    add_json(archive, "detect.json", detect, err) < 0)
		return -1;
	return add_json(archive, "config.json", config, err);
}

static int add_files(struct archive *archive, struct agent *agent, struct error *err)
{
	static const struct {
		const char *name, *path;
	} files[] = {
		{ "state.json", PATHS_STATE_FILE },
		{ "gridd.conf", PATHS_GRIDD_CONF },
		{ "os-release", "/etc/os-release" },
		{ "modules", "/proc/modules" },
	};
	cleanup_strv char **names = NULL;
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (archive_add_file(archive, files[i].name, &agent->root, files[i].path,
				     err) < 0)
			return -1;
	}

	if (root_list(&agent->root, PATHS_LOGS, LOGS_MAX, &names, &ignored) < 0)
		return 0;
	for (char **name = names; *name; name++) {
		char path[512], into[320];

		if (text_format(path, sizeof(path), PATHS_LOGS "/%s", *name) &&
		    text_format(into, sizeof(into), "log-%s", *name) &&
		    archive_add_file(archive, into, &agent->root, path, err) < 0)
			return -1;
	}
	return 0;
}

/* Everybody can name himself as he likes: what begins with "_" is journald's own. */
static int add_commands(struct archive *archive, struct agent *agent, struct error *err)
{
	static const char *const gridd[] = { "journalctl",
					     "--no-pager",
					     "--lines=3000",
					     "_SYSTEMD_UNIT=nvidia-gridd.service",
					     "+",
					     "_UID=0",
					     "SYSLOG_IDENTIFIER=nvidia-gridd",
					     "+",
					     "_PID=1",
					     "UNIT=nvidia-gridd.service",
					     NULL };
	static const char *const agents[] = {
		"journalctl",
		"--no-pager",
		"--lines=3000",
		"_UID=0",
		"SYSLOG_IDENTIFIER=vgpu-guest-agent",
		"+",
		"_UID=0",
		"_COMM=vgpu-guest-agent",
		"+",
		"_SYSTEMD_UNIT=vgpu-guest-agent-monitor.service",
		NULL
	};
	static const char *const smi[] = { "nvidia-smi", "-q", NULL };
	static const char *const kernel[] = { "dmesg", NULL };
	static const char *const words[] = { "NVRM",       "nvidia",   "nouveau",
					     "nova",       "Lockdown", "Secure boot",
					     "secureboot", NULL };
	const struct archive_command commands[] = {
		{ "journal-gridd.txt", gridd, NULL },
		{ "journal-agent.txt", agents, NULL },
		{ "nvidia-smi.txt", smi, NULL },
		{ "dmesg.txt", kernel, words },
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (archive_add_command(archive, &commands[i], &agent->runner,
					&agent->root, err) < 0)
			return -1;
	}
	return 0;
}

int support_write(struct agent *agent, const struct json *report, const char *file,
		  struct error *err)
{
	cleanup(archive_close) struct archive archive = ARCHIVE_INIT;
	cleanup_free char *target = root_absolute(file);

	if (!target)
		return error_set_errno(err, ENOMEM, "naming %s", file);
	if (archive_open(&archive, err) < 0 ||
	    add_json(&archive, "doctor.json", report, err) < 0 ||
	    add_reports(&archive, agent, err) < 0 ||
	    add_files(&archive, agent, err) < 0 || add_commands(&archive, agent, err) < 0)
		return -1;
	return archive_pack(&archive, &agent->runner, &agent->caller, target, err);
}
