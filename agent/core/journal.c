/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "core/journal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "base/text.h"

bool journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char here[64];
	struct stat st;

	/* "device:inode" of the socket, see systemd.exec(5). */
	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	return text_format(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev,
			   (uintmax_t)st.st_ino) &&
	       strcmp(here, stream) == 0;
}

void journal_console(const char *line)
{
	cleanup_fd int fd =
		open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		(void)dprintf(fd, "vgpu-guest-agent: %s\r\n", line);
}

static void send_failure(const struct outcome *outcome, const struct error *error)
{
	/* A guest without GPU is as it should be: its boot is no place for alarm. */
	int priority = error->code == ERROR_NO_GPU ? LOG_INFO : LOG_ERR;

	(void)sd_journal_send("MESSAGE=%s: %s", outcome->step, error->text,
			      "MESSAGE_ID=" JOURNAL_STEP_FAILED, "PRIORITY=%d", priority,
			      "VGPU_STEP=%s", outcome->step, "VGPU_OUTCOME=failed",
			      "VGPU_SECONDS=%.3f", outcome->seconds, "VGPU_ERROR=%s",
			      error_code_name(error->code), "VGPU_HINT=%s", error->hint,
			      NULL);
}

void journal_step(const struct outcome *outcome, const struct error *error)
{
	bool licensed = strcmp(outcome->step, "license") == 0;

	/* A user's own `fetch` is not an event of this guest. */
	if (geteuid() != 0)
		return;
	if (error) {
		send_failure(outcome, error);
		return;
	}
	(void)sd_journal_send(
		"MESSAGE=%s: %s%s%s", outcome->step, outcome_kind_name(outcome->kind),
		outcome->detail[0] ? ", " : "", outcome->detail, "MESSAGE_ID=%s",
		licensed ? JOURNAL_LICENSED : JOURNAL_STEP_DONE, "PRIORITY=%d",
		outcome->kind == OUTCOME_CHANGED ? LOG_NOTICE : LOG_INFO, "VGPU_STEP=%s",
		outcome->step, "VGPU_OUTCOME=%s", outcome_kind_name(outcome->kind),
		"VGPU_SECONDS=%.3f", outcome->seconds, NULL);
}

void journal_event(const char *id, int priority, const char *text)
{
	(void)sd_journal_send("MESSAGE=%s", text, "MESSAGE_ID=%s", id, "PRIORITY=%d",
			      priority, "SYSLOG_IDENTIFIER=vgpu-guest-agent", NULL);
}
