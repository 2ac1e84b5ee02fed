/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/cause.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"

enum weight {
	WEIGHT_CLEARS,  /* licensed, or a new start: nothing is wrong so far */
	WEIGHT_DECIDES, /* says why */
	WEIGHT_FOLLOWS, /* only what the line before led to, or a guess: if nothing better
			 */
};

struct phrase {
	const char *text;
	enum weight weight;
	const char *code, *hint;
};

#define HINT_NETWORK                                                             \
	"check that the license server's name resolves and that port 443 of it " \
	"can be reached from here"
#define HINT_JOURNAL "see the whole log: journalctl -u nvidia-gridd"
#define HINT_NEW_TOKEN                                                               \
	"download a new token from the license server: this one is damaged, or the " \
	"server's keys are newer"
#define HINT_CLOCK                                                                            \
	"set the guest's clock and time zone right, then restart nvidia-gridd; if it stays, " \
	"download a new token"

/* How lines begin. Public logs of R410 to R580; harmless ones are absent on purpose. */
static const struct phrase lines[] = {
	{ "Started (", WEIGHT_CLEARS, NULL, NULL },
	{ "License acquired successfully", WEIGHT_CLEARS, NULL, NULL },
	{ "License renewed successfully", WEIGHT_CLEARS, NULL, NULL },
	{ "Your system is licensed", WEIGHT_CLEARS, NULL, NULL },
	{ "Failed to decode signature from token received", WEIGHT_DECIDES,
	  "token_malformed", HINT_NEW_TOKEN },
	{ "Failed to read configurations from client configuration token", WEIGHT_DECIDES,
	  "token_malformed", HINT_NEW_TOKEN },
	{ "Unable to fetch the client configuration token file", WEIGHT_DECIDES,
	  "token_missing",
	  "install the client configuration token: vgpu-guest-agent token install FILE" },
	{ "Failed to update local trusted store", WEIGHT_DECIDES, "trusted_store",
	  "stop nvidia-gridd, move " PATHS_TRUSTED_STORE " away and start it again" },
	{ "Invalid feature type requested", WEIGHT_DECIDES, "feature_type",
	  "set license.feature_type: 1 for a vGPU, 2 or 4 for a passed-through GPU" },
	{ "Licensing not supported for GPUs in the system", WEIGHT_DECIDES, "unknown",
	  "the driver sees no GPU that takes a license: is this a GRID driver on a vGPU?" },
	{ "Mismatch between client and server with respect to licenses held",
	  WEIGHT_DECIDES, "unknown", "restart nvidia-gridd" },
	{ "Failed to setup cloud License Manager", WEIGHT_FOLLOWS, "unknown",
	  HINT_JOURNAL },
	{ "Failed to register client", WEIGHT_FOLLOWS, "unknown", HINT_JOURNAL },
	{ "Failed to handle license change events", WEIGHT_FOLLOWS, "unknown",
	  HINT_JOURNAL },
	{ "Valid GRID license not found", WEIGHT_FOLLOWS, "unknown", HINT_JOURNAL },
};

/* What stands behind "Error: " in "Failed to acquire license from HOST (Info: ...". */
static const struct phrase refusals[] = {
	{ "No pool features found", WEIGHT_DECIDES, "pool_empty",
	  "the license server has no free license of this product for this token: ask its "
	  "administrator" },
	{ "Clock windback has been detected", WEIGHT_DECIDES, "clock_windback",
	  HINT_CLOCK },
	{ "The allowed time to process response has expired", WEIGHT_DECIDES, "clock",
	  HINT_CLOCK },
	{ "Generic network communication failure", WEIGHT_DECIDES, "unknown",
	  HINT_NETWORK },
};

static const struct phrase refused = { "", WEIGHT_DECIDES, "unknown", HINT_JOURNAL };
static const struct phrase not_acquired = { "", WEIGHT_FOLLOWS, "unknown", HINT_NETWORK };
static const struct phrase conf_unreadable = {
	"", WEIGHT_DECIDES, "gridd_conf",
	"make " PATHS_GRIDD_CONF " readable, or let the agent write it: vgpu-guest-agent "
	"configure"
};
static const struct phrase no_feature_type = { "", WEIGHT_FOLLOWS, "feature_type",
					       "set FeatureType in " PATHS_GRIDD_CONF
					       ": vgpu-guest-agent configure" };

/* A pager cuts long lines and ends them with '>': enough of the phrase is the phrase. */
#define CUT_LEAST 8

static bool begins(struct span text, const char *phrase)
{
	if (span_starts(text, phrase))
		return true;
	if (!span_ends(text, ">") || text.len <= CUT_LEAST)
		return false;

	text.len--;
	return text.len < strlen(phrase) && memcmp(text.at, phrase, text.len) == 0;
}

static bool find_phrase(struct span text, const char *what, struct span *ret_behind)
{
	const char *at = text.len ? memmem(text.at, text.len, what, strlen(what)) : NULL;

	if (!at)
		return false;
	at += strlen(what);
	*ret_behind = (struct span){ at, text.len - (size_t)(at - text.at) };
	return true;
}

/* A line of syslog or of journalctl has the time, the host and the daemon in front. */
static struct span message_of(struct span line)
{
	struct span rest, digits, behind;

	line = span_trim(line);
	if (!find_phrase(line, "nvidia-gridd", &rest))
		return line;
	if (span_skip(&rest, ": "))
		return span_trim(rest);
	if (span_skip(&rest, "[") && span_split(rest, ']', &digits, &behind) &&
	    span_skip(&behind, ": "))
		return span_trim(behind);
	return line;
}

/*
 * The phrase that a message of nvidia-gridd begins with; NULL: the message says nothing
 * about a license.
 */
static const struct phrase *phrase_of(struct span message)
{
	struct span behind;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (begins(message, lines[i].text))
			return &lines[i];
	}

	if (begins(message, "Failed to acquire ") ||
	    begins(message, "Failed to renew ")) {
		if (!find_phrase(message, "Error: ", &behind))
			return &not_acquired;
		for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
			if (begins(behind, refusals[i].text))
				return &refusals[i];
		}
		return &refused;
	}

	/* A missing file is harmless: gridd goes on with the token alone. */
	behind = message;
	if (span_skip(&behind, "Failed to open file /etc/nvidia/gridd.conf (") &&
	    !begins(behind, "No such file"))
		return &conf_unreadable;
	/* ServerAddress alone is the legacy server's: every guest of today lacks it. */
	if (span_starts(message, "Configuration parameter (") &&
	    find_phrase(message, "FeatureType", &behind))
		return &no_feature_type;

	return NULL;
}

void cause_read_line(struct span line, struct license_reason *reason)
{
	struct span message = message_of(line);
	const struct phrase *phrase = phrase_of(message);

	if (!phrase)
		return;
	if (phrase->weight == WEIGHT_CLEARS) {
		*reason = (struct license_reason){ 0 };
		return;
	}
	if (phrase->weight == WEIGHT_FOLLOWS && reason->code)
		return;

	reason->code = phrase->code;
	reason->by_daemon = true;
	(void)text_copy(reason->hint, sizeof(reason->hint), phrase->hint);
	(void)span_copy(message, reason->message, sizeof(reason->message));
	text_sanitize(reason->message);
}

bool cause_read_expiry(struct span line, int64_t *ret_expiry)
{
	struct span message = message_of(line), behind;
	struct license_feature feature = { .expiry = 0 };
	char status[96];

	if ((!span_starts(message, "License acquired") &&
	     !span_starts(message, "License renewed")) ||
	    !find_phrase(message, "Expiry: ", &behind) ||
	    !text_format(status, sizeof(status), "Licensed (Expiry: %.*s",
			 (int)(behind.len < 64 ? behind.len : 64), behind.at))
		return false;

	license_read_status(span_of(status), &feature);
	if (feature.expiry_kind != LICENSE_EXPIRY_DATE)
		return false;
	*ret_expiry = feature.expiry;
	return true;
}
