/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What was done, kept in /var/lib/vgpu-guest-agent/state.json: which driver is ours,
 * which one was being installed when a run was cut off, and the last work of every step.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/root.h"
#include "core/builds.h"
#include "model/driver/driver.h"
#include "model/outcome.h"
#include "model/paths.h"

#define STATE_COPY PATHS_BACKUP "/" PATHS_STATE_NAME
#define STATE_BAD PATHS_STATE_FILE ".bad"

#define STATE_KEYS_MAX 16

/* The highest serial of a signed index that was believed, by who signed it. */
struct state_index {
	char key[PACKAGE_SHA256_SIZE]; /* SHA-256 of the public key */
	int64_t serial;
};

struct state {
	struct driver driver; /* put there by us, and nvidia-smi answered */
	/* The system is being changed to this one: finish it, or put `driver` back. */
	struct driver installing;
	/* The one before `driver`; its package is kept for "install --previous". */
	struct driver previous;
	bool installing_failed; /* it was tried to its end and does not work */
	struct builds builds;   /* what compiles here, and what does not */
	size_t index_count;
	struct state_index indexes[STATE_KEYS_MAX]; /* the oldest key first */
	struct json *steps;   /* name -> {"outcome","detail","began","seconds","time"} */
	struct json *trouble; /* of the last run, see state_end(); NULL: none */
	bool lost; /* what was done before is not known: see state_refuse_lost() */
};

/*
 * For whoever changes the system, under the lock: closes what a run that was cut off left
 * in the journal, then reads the state. A damaged one is kept as STATE_BAD and its copy
 * taken; where that is damaged, too, the state begins anew and is `lost` until somebody
 * has removed STATE_BAD. A state of a later agent is an error.
 */
must_check int state_open(const struct root *root, struct state *ret_state,
			  struct error *err);

/* Of a lost state: ERROR_INTERNAL with the way out, for what would go by it. */
must_check int state_refuse_lost(const struct state *state, struct error *err);

/*
 * For whoever only looks. A missing file is an empty state; of a damaged one the copy
 * counts, else it is empty and `lost`.
 */
must_check int state_load(const struct root *root, struct state *ret_state,
			  struct error *err);
must_check int state_save(const struct root *root, const struct state *state,
			  struct error *err);
void state_done(struct state *state);

/* Notes what a step did; a step that changed nothing keeps the record of when it did. */
must_check int state_note(struct state *state, const struct outcome *outcome,
			  struct error *err);

/* The highest serial of the key that this guest has seen; 0: none. */
int64_t state_serial(const struct state *state, const char *key);

/* Notes a serial. True where it is higher than before: then there is something to save.
 */
bool state_raise_serial(struct state *state, const char *key, int64_t serial);

/*
 * Keeps what a run ended with as {"step","message","hint","warnings"}: the step that
 * failed (NULL: none), its error, the warnings about the metadata. Tells whether the last
 * run ended otherwise: only then there is something to save.
 */
must_check int state_end(struct state *state, const char *step, const struct error *error,
			 const struct json *warnings, bool *ret_news, struct error *err);

/* Why the last run failed; its texts are the state's. */
struct state_failure {
	const char *step, *message;
	const char *hint; /* "": none */
};

/* The one source of it for every command. False: the last run has ended well. */
bool state_failed(const struct state *state, struct state_failure *ret_failure);
