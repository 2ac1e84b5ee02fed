/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The record comes before the act: what is about to take the place of a file of others,
 * and how that one comes back, is on the disk before the file is touched.
 *
 * intent_begin() keeps what is there and makes an entry in the journal, the caller
 * replaces the file, intent_end() turns the entry into a note in the backup folder. An
 * entry that a run left behind when it was cut off is closed by the next one, which
 * looks whether the file was replaced. Whoever takes things away goes by the notes.
 */

#include "base/root.h"
#include "base/span.h"

enum intent {
	INTENT_CONF,  /* gridd.conf */
	INTENT_TOKEN, /* the client configuration token */
	INTENT_COUNT_,
};

/* What the note says, and what is at its path now. */
struct intent_note {
	bool known;     /* we replaced or made the file, and told of it */
	bool was_there; /* there was one of others before; else there was none */
	bool ours;      /* the file that is there now is the one that we put there */
};

/* Where the file that was there before is kept. */
const char *intent_backup(enum intent intent);

/*
 * Before `coming` is put at `path`. What others have there now is kept the first time; a
 * copy that is kept already stays as it is.
 */
must_check int intent_begin(const struct root *root, enum intent intent, const char *path,
			    struct span coming, struct error *err);

/* The file is in place: the note is made and the entry goes. */
must_check int intent_end(const struct root *root, enum intent intent, struct error *err);

/* Closes what a run that was cut off has left open. First of all, under the lock. */
must_check int intent_recover(const struct root *root, struct error *err);

/* No note is no error. */
must_check int intent_look(const struct root *root, enum intent intent, const char *path,
			   struct intent_note *ret_note, struct error *err);
