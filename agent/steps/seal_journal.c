/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of steps/seal.h that reads a journal, whose long fields are compressed: what
 * is in the file is not what was logged.
 */

#include "steps/seal.h"

#include <systemd/sd-journal.h>

static void journal_done(sd_journal **journal)
{
	sd_journal_close(*journal);
}

/* Each value of a field once, however often it was logged; a negative errno. */
static int look_at_field(const struct seal *seal, sd_journal *journal, const char *field,
			 bool *ret_found, struct error *err)
{
	const void *data;
	size_t size;
	int r = sd_journal_query_unique(journal, field);

	while (r >= 0 && !*ret_found &&
	       (r = sd_journal_enumerate_unique(journal, &data, &size)) > 0) {
		struct trace_scan scan;

		trace_begin(&scan, &seal->trace);
		*ret_found = trace_take(&scan, (struct span){ data, size });
		if (seal->each && seal->each(seal->context, size, err) < 0)
			break;
	}
	return r;
}

int seal_journal_look(const struct seal *seal, int fd, enum seal_content *ret_content,
		      struct error *err)
{
	cleanup(journal_done) sd_journal *journal = NULL;
	const char *field;
	bool found = false;
	int fds[] = { fd };
	int r = sd_journal_open_files_fd(&journal, fds, 1, 0);

	if (r >= 0)
		r = sd_journal_set_data_threshold(journal, 0);
	while (r >= 0 && !found && (r = sd_journal_enumerate_fields(journal, &field)) > 0)
		r = look_at_field(seal, journal, field, &found, err);
	if (err->code)
		return -1;
	if (found)
		*ret_content = SEAL_TOKEN;
	else
		*ret_content = r < 0 ? SEAL_UNREAD : SEAL_CLEAN;
	return 0;
}
