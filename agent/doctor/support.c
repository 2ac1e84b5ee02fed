/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/support.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "core/state.h"
#include "model/paths.h"
#include "steps/archive.h"
#include "steps/license/configure.h"

#define LOGS_MAX 100

static int add_json(struct archive *archive, const struct support_report *report,
		    struct error *err)
{
	cleanup_free char *text = report->json ? json_print(report->json) : NULL;

	if (report->json && !text)
		return error_set_errno(err, ENOMEM, "gathering %s", report->name);
	return archive_add_text(archive, report->name,
				span_of(text ? text : "(not there)\n"), err);
}

static int add_files(struct archive *archive, const struct root *root, struct error *err)
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
		if (archive_add_file(archive, files[i].name, root, files[i].path, err) <
		    0)
			return -1;
	}

	if (root_list(root, PATHS_LOGS, LOGS_MAX, &names, &ignored) < 0)
		return 0;
	for (char **name = names; *name; name++) {
		char path[512], into[320];

		if (text_format(path, sizeof(path), PATHS_LOGS "/%s", *name) &&
		    text_format(into, sizeof(into), "log-%s", *name) &&
		    archive_add_file(archive, into, root, path, err) < 0)
			return -1;
	}
	return 0;
}

/* Everybody can name himself as he likes: what begins with "_" is journald's own. */
static int add_commands(struct archive *archive, const struct context *ctx,
			struct error *err)
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
		if (archive_add_command(archive, &commands[i], ctx->runner, &ctx->root,
					err) < 0)
			return -1;
	}
	return 0;
}

int support_write(const struct context *ctx, const struct support_report *reports,
		  size_t count, const char *file, struct error *err)
{
	cleanup(archive_close) struct archive archive = ARCHIVE_INIT;
	cleanup_free char *target = root_absolute(file);

	if (!target)
		return error_set_errno(err, ENOMEM, "naming %s", file);
	if (archive_open(&archive, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (add_json(&archive, &reports[i], err) < 0)
			return -1;
	}
	if (add_files(&archive, &ctx->root, err) < 0 ||
	    add_commands(&archive, ctx, err) < 0)
		return -1;
	return archive_pack(&archive, ctx->runner, &ctx->caller, target, err);
}
