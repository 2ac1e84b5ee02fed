/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/gridd_log.h"

#include <string.h>
#include <systemd/sd-journal.h>

#include "base/macro.h"
#include "model/paths.h"

#define IDENTIFIER "SYSLOG_IDENTIFIER=nvidia-gridd"
#define ROOT "_UID=0"
#define UNIT "_SYSTEMD_UNIT=" PATHS_GRIDD_UNIT
#define ENTRIES_MAX 2000 /* the newest ones; a daemon that runs for months logs more */

/*
 * systemd notes the time of a start once the process is made, whose first lines may be
 * older on a busy system. What an earlier daemon said then, "Started (" takes back.
 */
#define START_LAG_US 1000000

static void journal_done(sd_journal **journal)
{
	sd_journal_close(*journal);
}

/*
 * Either of both: started by hand it has no unit, and builds differ in the identifier.
 * That everybody can give himself, what begins with "_" is journald's own.
 */
static int select_daemon(sd_journal *journal)
{
	int r = sd_journal_add_match(journal, IDENTIFIER, 0);

	if (r >= 0)
		r = sd_journal_add_match(journal, ROOT, 0);
	if (r >= 0)
		r = sd_journal_add_disjunction(journal);
	if (r >= 0)
		r = sd_journal_add_match(journal, UNIT, 0);
	return r;
}

/* What becomes of each line, oldest first. */
struct reader {
	void (*take)(struct span line, void *context);
	void *context;
};

static void read_entry(sd_journal *journal, int64_t since, const struct reader *reader)
{
	static const char field[] = "MESSAGE=";
	uint64_t time;
	const void *data;
	struct span rest, line;
	size_t size;

	if (sd_journal_get_realtime_usec(journal, &time) < 0 ||
	    (since > 0 && time + START_LAG_US < (uint64_t)since) ||
	    sd_journal_get_data(journal, "MESSAGE", &data, &size) < 0)
		return;

	rest = (struct span){ data, size };
	(void)span_skip(&rest, field);
	while (span_next_line(&rest, &line))
		reader->take(line, reader->context);
}

static int read_journal(int64_t since, const struct reader *reader, struct error *err)
{
	cleanup(journal_done) sd_journal *journal = NULL;
	int r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

	if (r < 0)
		return 0;

	r = select_daemon(journal);
	if (r >= 0)
		r = sd_journal_seek_tail(journal);
	if (r >= 0)
		r = sd_journal_previous_skip(journal, ENTRIES_MAX);
	while (r > 0) {
		read_entry(journal, since, reader);
		r = sd_journal_next(journal);
	}
	if (r < 0)
		return error_set_errno(err, -r, "reading nvidia-gridd's journal");
	return 0;
}

static void take_reason(struct span line, void *context)
{
	cause_read_line(line, context);
}

static void take_expiry(struct span line, void *context)
{
	(void)cause_read_expiry(line, context);
}

int gridd_log_read(int64_t since, struct license_reason *ret_reason, struct error *err)
{
	struct license_reason reason = { 0 };
	const struct reader reader = { take_reason, &reason };

	if (read_journal(since, &reader, err) < 0)
		return -1;
	*ret_reason = reason;
	return 0;
}

int gridd_log_expiry(int64_t since, int64_t *ret_expiry, struct error *err)
{
	int64_t expiry = 0;
	const struct reader reader = { take_expiry, &expiry };

	if (read_journal(since, &reader, err) < 0)
		return -1;
	*ret_expiry = expiry;
	return 0;
}

struct gridd_log {
	sd_journal *journal;
};

struct gridd_log *gridd_log_follow(void)
{
	struct gridd_log *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return NULL;
	r = sd_journal_open(&log->journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (r >= 0)
		r = select_daemon(log->journal);
	if (r >= 0)
		r = sd_journal_get_fd(log->journal);
	if (r >= 0)
		r = sd_journal_seek_tail(log->journal);
	/* Behind the last entry that is there; where there is none, at the beginning. */
	if (r >= 0 && sd_journal_previous(log->journal) == 0)
		r = sd_journal_seek_head(log->journal);
	if (r < 0) {
		gridd_log_close(log);
		return NULL;
	}
	return log;
}

int gridd_log_fd(const struct gridd_log *log)
{
	return log ? sd_journal_get_fd(log->journal) : -1;
}

bool gridd_log_has_more(struct gridd_log *log)
{
	bool more = false;

	if (!log || sd_journal_process(log->journal) < 0)
		return false;
	while (sd_journal_next(log->journal) > 0)
		more = true;
	return more;
}

void gridd_log_close(struct gridd_log *log)
{
	if (!log)
		return;
	sd_journal_close(log->journal);
	free(log);
}
