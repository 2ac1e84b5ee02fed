/* SPDX-License-Identifier: Apache-2.0 */

/* The part of model/doctor/doctor_rules.h that looks at daemon, token and license server.
 */

#include <string.h>

#include "model/doctor/doctor_rules.h"
#include "model/license/token.h"
#include "model/paths.h"

#define HINT_CONFIGURE "let the agent write it: vgpu-guest-agent configure"
#define HINT_NEW_TOKEN                                                                \
	"download a new token from the license server, then: vgpu-guest-agent token " \
	"install FILE"
#define BRANCH_NEEDS_DLS_34 570 /* vGPU 18 */

static bool gridd_says(const struct doctor_facts *facts, const char *code)
{
	return facts->reason.code && strcmp(facts->reason.code, code) == 0;
}

static bool is_clock_off(const struct doctor_facts *facts)
{
	return facts->clock_known && (facts->clock_offset > DOCTOR_CLOCK_OFF_S ||
				      facts->clock_offset < -DOCTOR_CLOCK_OFF_S);
}

/* A wrong clock makes good tokens look bad: where the server's is known, that counts. */
static int64_t right_time(const struct doctor_facts *facts)
{
	return facts->now - (facts->clock_known ? facts->clock_offset : 0);
}

/* As the daemon words it. */
static void add_reason(const struct doctor_facts *facts, const char *code, bool certain,
		       struct doctor_causes *causes)
{
	struct doctor_cause *cause = doctor_rules_add(causes, code, certain);

	say(cause, "nvidia-gridd says: %s", facts->reason.message);
	advise(cause, "%s", facts->reason.hint);
}

static void check_missing(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->unit_exists != DOCTOR_NO && facts->gridd_binary != DOCTOR_NO)
		return;
	cause = doctor_rules_add(causes, "gridd_missing", true);
	say(cause, "nvidia-gridd is not installed: there is no %s",
	    facts->gridd_binary == DOCTOR_NO ? PATHS_GRIDD : PATHS_GRIDD_UNIT);
	advise(cause, "%s",
	       facts->gridd_binary == DOCTOR_NO
		       ? "the driver is no GRID driver, or half removed: install one, "
			 "vgpu-guest-agent run"
		       : "the driver's installer leaves it out where systemctl is not on its "
			 "PATH: vgpu-guest-agent run");
	doctor_rules_after_run(facts, "install", cause);
}

/* gridd.conf names no folder for the token: it has to begin with "/". */
static bool is_sent_nowhere(const struct doctor_facts *facts)
{
	return facts->token_dir[0] && facts->token_dir[0] != '/';
}

/* Where the token is looked for. */
static const char *token_dir(const struct doctor_facts *facts)
{
	return facts->token_dir[0] == '/' ? facts->token_dir : PATHS_TOKENS;
}

/* Whether a token lies where nvidia-gridd looks for it, and can be read there. */
static void check_token_file(const struct doctor_facts *facts,
			     struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->token == DOCTOR_TOKEN_MISSING) {
		cause = doctor_rules_add(causes, "token_missing", true);
		say(cause, "there is no client configuration token in %s",
		    token_dir(facts));
		advise(cause, "get one from the license server and run: vgpu-guest-agent "
			      "token install FILE");
		doctor_rules_after_run(facts, "token", cause);
	} else if (facts->token == DOCTOR_TOKEN_UNREADABLE) {
		cause = doctor_rules_add(causes, "token_unreadable", true);
		say(cause, "the token cannot be read: %s", facts->token_error);
		advise(cause,
		       "put a plain file there, readable by root: vgpu-guest-agent "
		       "token install FILE");
	} else if (facts->token == DOCTOR_TOKEN_READ && facts->token_error[0]) {
		cause = doctor_rules_add(causes, "token_malformed", true);
		say(cause, "the token is damaged: %s", facts->token_error);
		advise(cause, HINT_NEW_TOKEN);
	} else if (gridd_says(facts, "token_malformed")) {
		cause = doctor_rules_add(causes, "token_malformed", true);
		say(cause, "nvidia-gridd takes the token for damaged: %.200s",
		    facts->reason.message);
		advise(cause, HINT_NEW_TOKEN);
	} else if (facts->token_warning[0]) {
		cause = doctor_rules_add(causes, "token_malformed", false);
		say(cause, "the token is suspect: %s", facts->token_warning);
		advise(cause, HINT_NEW_TOKEN);
	} else if (gridd_says(facts, "token_missing") &&
		   facts->token == DOCTOR_TOKEN_READ && !is_sent_nowhere(facts)) {
		cause = doctor_rules_add(causes, "token_unreadable", true);
		say(cause,
		    "there is a token, and nvidia-gridd could not fetch it when it "
		    "started");
		advise(cause, "make it start anew: systemctl restart nvidia-gridd");
	}
}

/*
 * The token's own dates, by the time that the guest's clock should show: a clock that is
 * wrong is another cause, and must not make a good token look expired.
 */
static void check_token_time(const struct doctor_facts *facts,
			     struct doctor_causes *causes)
{
	int64_t now = right_time(facts);
	struct doctor_cause *cause;

	if (facts->token != DOCTOR_TOKEN_READ || facts->token_error[0])
		return;
	if (facts->token_end > 0 && now >= facts->token_end) {
		cause = doctor_rules_add(causes, "token_expired", true);
		say(cause, "the token expired %lld days ago",
		    (long long)((now - facts->token_end) / 86400));
		advise(cause, HINT_NEW_TOKEN);
	}
	if (facts->token_begin > 0 && now < facts->token_begin) {
		cause = doctor_rules_add(causes, "token_not_yet_valid", true);
		say(cause, "the token is not valid for another %lld s%s",
		    (long long)(facts->token_begin - now),
		    facts->clock_known ? "" : ", or the clock is wrong");
		advise(cause,
		       "set the clock right if it is wrong: timedatectl; else wait, or "
		       "download a new token");
	}
	if (facts->token_count > 1) {
		cause = doctor_rules_add(causes, "token_several", true);
		say(cause,
		    "%zu files lie in " PATHS_TOKENS ": which one nvidia-gridd takes is "
		    "not known",
		    facts->token_count);
		advise(cause, "leave only the right one there: vgpu-guest-agent token "
			      "install FILE");
	}
}

static bool is_type(const char *text)
{
	return strlen(text) == 1 && strchr("0124", text[0]);
}

/*
 * FeatureType of gridd.conf against the GPUs: a type that asks for no license leaves a
 * vGPU unlicensed without any message of the daemon's.
 */
static void check_feature_type(const struct doctor_facts *facts,
			       struct doctor_causes *causes)
{
	const char *type = facts->feature_type;
	bool wrong =
		strcmp(type, "0") == 0 ||
		(!facts->has_vgpu && strcmp(type, "2") != 0 && strcmp(type, "4") != 0);
	struct doctor_cause *cause;

	if (type[0] && !is_type(type)) {
		cause = doctor_rules_add(causes, "gridd_conf", true);
		say(cause,
		    PATHS_GRIDD_CONF
		    " says FeatureType=%s: 0, 1, 2 and 4 are the types there are",
		    type);
		advise(cause, HINT_CONFIGURE);
	} else if (!facts->conf_error[0] && wrong && (type[0] || !facts->has_vgpu)) {
		cause = doctor_rules_add(causes, "feature_type", true);
		say(cause,
		    PATHS_GRIDD_CONF
		    " says FeatureType=%s: that asks for no license here",
		    type[0] ? type : "nothing");
		advise(cause,
		       "1 is for a vGPU, 2 or 4 for a passed-through GPU (license.feature_"
		       "type): vgpu-guest-agent configure");
	} else if (gridd_says(facts, "feature_type")) {
		add_reason(facts, "feature_type", type[0] != '\0', causes);
	}
}

/* Whether nvidia-gridd can have read the gridd.conf that lies there now. */
static void check_conf(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->conf_error[0]) {
		cause = doctor_rules_add(causes, "gridd_conf", true);
		say(cause, PATHS_GRIDD_CONF " cannot be read: %s", facts->conf_error);
		advise(cause, HINT_CONFIGURE);
	} else if (gridd_says(facts, "gridd_conf")) {
		add_reason(facts, "gridd_conf", true, causes);
	}
	if (is_sent_nowhere(facts)) {
		cause = doctor_rules_add(causes, "gridd_conf", true);
		say(cause,
		    PATHS_GRIDD_CONF
		    " sends nvidia-gridd to %s for its token: that is no folder",
		    facts->token_dir);
		advise(cause, HINT_CONFIGURE);
	}
	check_feature_type(facts, causes);
	if (facts->conf_newer && facts->unit_active == DOCTOR_YES) {
		cause = doctor_rules_add(causes, "gridd_conf", false);
		say(cause,
		    PATHS_GRIDD_CONF " has changed since nvidia-gridd was started");
		advise(cause, "make it read the file: systemctl restart nvidia-gridd");
	}
}

/* Whether nvidia-gridd is installed, enabled and running. */
static void check_unit(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->unit_exists != DOCTOR_YES)
		return;
	if (facts->unit_masked == DOCTOR_YES) {
		cause = doctor_rules_add(causes, "gridd_masked", true);
		say(cause, "nvidia-gridd is masked: systemd starts it for nobody");
		advise(cause, "systemctl unmask nvidia-gridd, then systemctl enable "
			      "--now nvidia-gridd");
	} else if (facts->unit_failed == DOCTOR_YES) {
		doctor_denied_judge(facts, causes);
		/* It also ends with an error over a token: then that is the cause. */
		cause = doctor_rules_add(causes, "gridd_crashed", true);
		say(cause, "nvidia-gridd ended with an error: %s", facts->unit_detail);
		advise(cause, "see why, then start it again: journalctl -u nvidia-gridd; "
			      "systemctl restart nvidia-gridd");
	} else if (facts->unit_active == DOCTOR_NO && facts->unit_enabled == DOCTOR_NO) {
		cause = doctor_rules_add(causes, "gridd_disabled", true);
		say(cause, "nvidia-gridd is not enabled and does not run");
		advise(cause, "systemctl enable --now nvidia-gridd");
	} else if (facts->unit_active == DOCTOR_NO) {
		cause = doctor_rules_add(causes, "gridd_stopped", true);
		say(cause, "nvidia-gridd does not run: %s", facts->unit_detail);
		advise(cause, "systemctl start nvidia-gridd");
	} else if (facts->unit_enabled == DOCTOR_NO) {
		cause = doctor_rules_add(causes, "gridd_disabled", false);
		say(cause, "nvidia-gridd runs, and will not at the next boot: it is not "
			   "enabled");
		advise(cause, "systemctl enable nvidia-gridd");
	}
}

static void check_clock(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	long long off = (long long)facts->clock_offset;
	struct doctor_cause *cause;

	if (is_clock_off(facts)) {
		cause = doctor_rules_add(causes, "clock", true);
		say(cause, "the clock is %lld s %s the license server's",
		    off < 0 ? -off : off, off < 0 ? "behind" : "ahead of");
		advise(cause, "set it right (timedatectl set-ntp true), then: systemctl "
			      "restart nvidia-gridd");
	} else if (gridd_says(facts, "clock")) {
		add_reason(facts, "clock", !facts->clock_known, causes);
	}
	if (gridd_says(facts, "clock_windback"))
		add_reason(facts, "clock_windback", true, causes);
}

/* Answers of the license server that nvidia-gridd logged: the server was reached. */
static void check_answer(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	static const char *const answers[] = { "pool_empty", "server_too_old",
					       "trusted_store" };

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		if (gridd_says(facts, answers[i]))
			add_reason(facts, answers[i], true, causes);
	}
}

/* Whether the license server that the token names answers this guest. */
static void check_server(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	static const struct {
		enum doctor_server server;
		const char *code, *hint, *command; /* then the server, and its port */
		bool port;
		bool passable; /* what we cannot reach a proxy may */
	} states[] = {
		{ DOCTOR_SERVER_UNRESOLVED, "dns",
		  "give the guest a resolver that knows the name, or an entry in "
		  "/etc/hosts",
		  "resolvectl query ", false, true },
		{ DOCTOR_SERVER_REFUSED, "port_refused",
		  "start the license server's service, or let the firewall in front of it "
		  "pass",
		  "curl -kv https://", true, true },
		{ DOCTOR_SERVER_FILTERED, "port_filtered",
		  "let the security groups and firewalls between here and the license "
		  "server pass this port",
		  "curl -kv https://", true, true },
		{ DOCTOR_SERVER_TLS, "tls",
		  "something answers that does not speak TLS 1.2 or later, perhaps a proxy",
		  "openssl s_client -connect ", true, false },
	};

	if (facts->server_form[0]) {
		struct doctor_cause *cause =
			doctor_rules_add(causes, "token_malformed", true);

		say(cause,
		    "the token names its license server \"%s\": a bare name or address "
		    "belongs there",
		    facts->server_form);
		advise(cause, "generate the token anew, with the server's bare name");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct doctor_cause *cause;
		char port[16] = "";

		if (facts->server != states[i].server)
			continue;
		if (states[i].port)
			(void)text_format(port, sizeof(port), ":%d", facts->server_port);
		cause = doctor_rules_add(causes, states[i].code,
					 !(facts->proxy[0] && states[i].passable));
		say(cause, "license server %s%s%s", facts->server_detail,
		    facts->proxy[0] ? "; nvidia-gridd asks by its proxy " : "",
		    facts->proxy);
		advise(cause, "%s: %s%s%s", states[i].hint, states[i].command,
		       facts->server_host, port);
	}
}

static void check_rest(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	struct doctor_cause *cause;

	if (facts->last_expiry > 0 && facts->last_expiry <= right_time(facts)) {
		cause = doctor_rules_add(causes, "license_expired", true);
		say(cause, "the license expired %lld s ago and was not renewed",
		    (long long)(right_time(facts) - facts->last_expiry));
		advise(cause, "let nvidia-gridd ask for a new one: systemctl restart "
			      "nvidia-gridd");
	}
	if (!gridd_says(facts, "unknown"))
		return;
	if (facts->server == DOCTOR_SERVER_OPEN &&
	    version_branch(facts->driver_version) >= BRANCH_NEEDS_DLS_34) {
		cause = doctor_rules_add(causes, "server_too_old", false);
		say(cause,
		    "the license server answers and gives no license to driver %s: %.200s",
		    facts->driver_version, facts->reason.message);
		advise(cause,
		       "drivers of branch 570 and later need a DLS of version 3.4 or "
		       "later: ask its administrator");
	}
	add_reason(facts, "unknown", false, causes);
}

void doctor_license_judge(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	check_missing(facts, causes);
	check_token_file(facts, causes);
	check_token_time(facts, causes);
	check_conf(facts, causes);
	check_unit(facts, causes);
	check_answer(facts, causes);
	check_clock(facts, causes);
	check_server(facts, causes);
	check_rest(facts, causes);
}

void doctor_license_unexplained(const struct doctor_facts *facts,
				struct doctor_causes *causes)
{
	struct doctor_cause *cause = doctor_rules_add(causes, "unknown", false);

	say(cause, "no check finds anything wrong, and there is no license%s",
	    facts->unit_active == DOCTOR_YES ? " yet" : "");
	advise(cause,
	       "wait for it, then look again: vgpu-guest-agent status --wait 120; see "
	       "journalctl -u nvidia-gridd");
}
