/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/cause.h"

#include <string.h>

#include "support/cmocka.h"

static struct license_reason read_lines(const char *text)
{
	struct license_reason reason = { 0 };
	struct span rest = span_of(text), line;

	while (span_next_line(&rest, &line))
		cause_read_line(line, &reason);
	return reason;
}

#define REFUSED \
	"Failed to acquire license from 10.0.0.5 (Info: NVIDIA RTX Virtual Workstation - Error: "

/* Every line is one of a public log; several are one start of the daemon. */
static const struct {
	const char *lines, *code, *message; /* the message's beginning */
} cases[] = {
	{ "", NULL, NULL },
	{ "Started (837)\nNLS initialized\nAcquiring license. (Info: 10.0.0.5; NVIDIA RTX "
	  "Virtual Workstation)\n",
	  NULL, NULL },
	{ REFUSED "No pool features found for : NVIDIA RTX Virtual Workstation)",
	  "pool_empty", "Failed to acquire license from 10.0.0.5" },
	{ REFUSED "Clock windback has been detected)", "clock_windback", "Failed to" },
	{ REFUSED "The allowed time to process response has expired)", "clock",
	  "Failed to" },
	{ REFUSED "Generic network communication failure)", "unknown", "Failed to" },
	{ REFUSED "Something (new): here)", "unknown", "Failed to" },
	{ "Failed to renew license from 10.0.0.5 (Info: X - Error: No pool features found for "
	  ": X)\n",
	  "pool_empty", "Failed to renew license from 10.0.0.5" },
	{ "Failed to renew license. (Info: X)\n", "unknown", "Failed to renew" },
	{ "License acquired successfully.\nFailed to renew license from x (Info: X - Error: "
	  "Generic network communication failure)\n",
	  "unknown", "Failed to renew" },
	{ "Failed to decode signature from token received\n"
	  "Failed to read configurations from client configuration token (Error: x)\n"
	  "Failed to setup cloud License Manager: 3\nShutdown (1039)\n",
	  "token_malformed", "Failed to read configurations" },
	{ "Unable to fetch the client configuration token file\n"
	  "Failed to setup cloud License Manager: 3\n",
	  "token_missing", "Unable to fetch" },
	{ "Failed to setup cloud License Manager: 3\n", "unknown", "Failed to setup" },
	{ "Failed to update local trusted store - Maximum buffer size exceeded\n"
	  "Failed to register client (2)\nFailed to acquire license from XXX\n",
	  "trusted_store", "Failed to update local trusted store" },
	{ "Failed to acquire NVIDIA GRID Virtual Workstation license.\n", "unknown",
	  "Failed to acquire NVIDIA" },
	{ "Invalid feature type requested\n", "feature_type", "Invalid" },
	{ "Licensing not supported for GPUs in the system\n"
	  "Failed to handle license change events\n",
	  "unknown", "Licensing not supported" },
	{ "Configuration parameter ( ServerAddress  FeatureType) not set\n",
	  "feature_type", "Configuration parameter" },
	{ "Configuration parameter ( ServerAddress  FeatureType) not set\n" REFUSED
	  "No pool features found for : X)\n",
	  "pool_empty", "Failed to acquire" },
	/* Harmless, and on every guest of today. */
	{ "Configuration parameter ( ServerAddress  ) not set\n"
	  "Failed to open file /etc/nvidia/gridd.conf (No such file or directory)\n"
	  "Unable to open directory /etc/nvidia/license (No such file or directory)\n"
	  "Calling load_byte_array(tra)\nFailed to unlock PID file: Bad file descriptor\n",
	  NULL, NULL },
	{ "Failed to open file /etc/nvidia/gridd.conf (Permission denied)\n",
	  "gridd_conf", "Failed to open" },
	{ "Valid GRID license not found. GPU features and performance will be restricted.",
	  "unknown", "Valid GRID license not found" },
	{ "Mismatch between client and server with respect to licenses held. Returning the "
	  "licenses\n",
	  "unknown", "Mismatch" },
	/* The last telling line decides. */
	{ REFUSED "Clock windback has been detected)\n" REFUSED
		  "No pool features found for : X)\n",
	  "pool_empty", "Failed" },
	{ REFUSED
	  "No pool features found for : X)\nLicense acquired successfully. (Info: "
	  "10.0.0.5, NVIDIA RTX Virtual Workstation; Expiry: 2022-12-21 16:53:33 "
	  "GMT)\n",
	  NULL, NULL },
	{ REFUSED
	  "No pool features found for : X)\nLicense renewed successfully. (Info: x)",
	  NULL, NULL },
	{ REFUSED
	  "No pool features found for : X)\nYour system is licensed for GRID vGPU.",
	  NULL, NULL },
	{ REFUSED "No pool features found for : X)\nStarted (900)\n", NULL, NULL },
	{ "License acquired successfully.\n" REFUSED "No pool features found for : X)\n",
	  "pool_empty", "Failed" },
	/* Cut by a pager, and with syslog's beginning of a line. */
	{ REFUSED "No pool fea>", "pool_empty", "Failed" },
	{ "Failed to read configurations from client configuration token (Error: >",
	  "token_malformed", "Failed" },
	{ "Failed to read configurations from clie>", "token_malformed", "Failed" },
	{ "Failed >", NULL, NULL },
	{ "Mar 31 05:01:08 guest nvidia-gridd[1039]: Failed to decode signature from token "
	  "received",
	  "token_malformed", "Failed to decode" },
	{ "Mar 31 05:01:08 guest nvidia-gridd: Invalid feature type requested",
	  "feature_type", "Invalid" },
	{ "Somebody said: Invalid feature type requested", NULL, NULL },
};

static void the_daemons_lines_tell_the_cause(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct license_reason reason = read_lines(cases[i].lines);

		print_message("case: %s\n", cases[i].lines);
		if (!cases[i].code) {
			assert_null(reason.code);
			continue;
		}
		assert_string_equal(reason.code, cases[i].code);
		assert_int_equal(strncmp(reason.message, cases[i].message,
					 strlen(cases[i].message)),
				 0);
		assert_true(reason.hint[0]);
	}
}

static void a_long_line_is_cut_and_cleaned(void **state)
{
	struct license_reason reason = { 0 };
	char line[2000];

	(void)state;
	memset(line, '\x1b', sizeof(line));
	for (size_t i = 0; i < strlen(REFUSED); i++)
		line[i] = REFUSED[i];

	cause_read_line((struct span){ line, sizeof(line) }, &reason);

	assert_string_equal(reason.code, "unknown");
	assert_int_equal(strlen(reason.message), sizeof(reason.message) - 1);
	assert_null(strchr(reason.message, '\x1b'));
}

static void the_expiry_is_read_of_lines_that_give_a_license(void **state)
{
	static const struct {
		const char *line;
		int64_t expiry; /* 0: none */
	} lines[] = {
		{ "License acquired successfully. (Info: 10.0.0.5, NVIDIA RTX Virtual "
		  "Workstation; Expiry: 2022-12-21 16:53:33 GMT)",
		  1671641613 },
		{ "License renewed successfully. (Info: h, p; Expiry: 2026-4-3 9:1:6 GMT)",
		  1775206866 },
		{ "License acquired successfully.", 0 },
		{ "License acquired successfully. (Info: h, p; Expiry: soon)", 0 },
		{ "License returned successfully. (Info: h; Expiry: 2026-4-3 9:1:6 GMT)",
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int64_t expiry = 0;

		assert_int_equal(cause_read_expiry(span_of(lines[i].line), &expiry),
				 lines[i].expiry != 0);
		assert_int_equal(expiry, lines[i].expiry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_expiry_is_read_of_lines_that_give_a_license),
		cmocka_unit_test(the_daemons_lines_tell_the_cause),
		cmocka_unit_test(a_long_line_is_cut_and_cleaned),
	};

	return cmocka_run_group_tests_name("cause", tests, NULL, NULL);
}
