/* wrap: poll clock_now clock_monotonic query_license journal_event */
/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "core/journal.h"
#include "license/query.h"
#include "model/paths.h"
#include "steps/license/announce.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define EPOCH INT64_C(1800000000) /* the clock of the wall as a monitor starts */
#define TOKEN_FILE "/srv/new.tok"
#define METRICS_FILE "/srv/vgpu.prom"
#define LICENSED(at) \
	at " STATUS=licensed\n" at " every GPU that needs a license has one\n"
#define QUIET "0 asks\n" LICENSED("0") "0 READY=1\n"
#define UNLICENSED "60 GPU 00000000:00:00.0: Unlicensed (Unrestricted)\n"
#define NO_ANSWER \
	"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."

/* What happens `at` so many seconds after the start of the monitor. */
struct happening {
	double at;
	void (*act)(void);
};

/*
 * A guest around the monitor. Its time stands still while the monitor works, and jumps
 * to what the monitor waits for, or to what happens before.
 */
static struct {
	const struct sysroot *sysroot;
	const struct happening *next; /* one without an act: a signal ends the monitor */
	double now;
	int signal[2], journal[2], notify;
	char log[4096]; /* what the monitor did: "SECONDS words", a line each */
} guest;

static struct machine machine;
static struct request request;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int64_t __wrap_clock_now(void);
double __wrap_clock_monotonic(void);
int __real_query_license(struct query *query, const char *backend, struct runner *runner,
			 const struct root *root, struct license_report *ret_report,
			 struct error *err);
int __wrap_query_license(struct query *query, const char *backend, struct runner *runner,
			 const struct root *root, struct license_report *ret_report,
			 struct error *err);
void __wrap_journal_event(const char *id, int priority, const char *text);

/*
 * What follows stands before libsystemd's: the journal is a pipe, in which "g" is a line
 * of nvidia-gridd's and "o" one of others', and nothing more can be read of either.
 */
int sd_journal_open(sd_journal **ret, int flags)
{
	(void)flags;
	*ret = (sd_journal *)&guest;
	return 0;
}

void sd_journal_close(sd_journal *journal)
{
	(void)journal;
}

int sd_journal_add_match(sd_journal *journal, const void *data, size_t size)
{
	(void)journal;
	(void)data;
	(void)size;
	return 0;
}

int sd_journal_add_disjunction(sd_journal *journal)
{
	(void)journal;
	return 0;
}

int sd_journal_seek_tail(sd_journal *journal)
{
	(void)journal;
	return 0;
}

int sd_journal_seek_head(sd_journal *journal)
{
	(void)journal;
	return 0;
}

int sd_journal_previous(sd_journal *journal)
{
	(void)journal;
	return 0;
}

int sd_journal_previous_skip(sd_journal *journal, uint64_t skip)
{
	(void)journal;
	(void)skip;
	return 0;
}

int sd_journal_get_fd(sd_journal *journal)
{
	(void)journal;
	return guest.journal[0];
}

int sd_journal_process(sd_journal *journal)
{
	(void)journal;
	return SD_JOURNAL_APPEND;
}

int sd_journal_next(sd_journal *journal)
{
	char line = 'o';

	(void)journal;
	while (line == 'o') {
		if (read(guest.journal[0], &line, 1) != 1)
			return 0;
	}
	return 1;
}

static void note_line(const char *words)
{
	size_t used = strlen(guest.log);

	assert_true(text_format(guest.log + used, sizeof(guest.log) - used, "%.0f %s\n",
				guest.now, words));
}

static void hear_notifications(void)
{
	char text[256];
	ssize_t n;

	while ((n = recv(guest.notify, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[n] = '\0';
		note_line(text);
	}
}

static void note(const char *words)
{
	hear_notifications();
	note_line(words);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	double until = guest.now + timeout / 1000.0;
	int ready;

	if (count != 3 || fds[0].fd != guest.signal[0])
		return __real_poll(fds, count, timeout);
	hear_notifications();
	ready = __real_poll(fds, count, 0);
	if (ready != 0)
		return ready;
	if (guest.next->at > until) {
		guest.now = until;
		return 0;
	}
	if (guest.next->at > guest.now)
		guest.now = guest.next->at;
	if (guest.next->act)
		(guest.next++)->act();
	else
		assert_int_equal(write(guest.signal[1], "", 1), 1);
	return __real_poll(fds, count, 0);
}

int64_t __wrap_clock_now(void)
{
	return EPOCH + (int64_t)guest.now;
}

double __wrap_clock_monotonic(void)
{
	return guest.now;
}

int __wrap_query_license(struct query *query, const char *backend, struct runner *runner,
			 const struct root *root, struct license_report *ret_report,
			 struct error *err)
{
	note("asks");
	return __real_query_license(query, backend, runner, root, ret_report, err);
}

void __wrap_journal_event(const char *id, int priority, const char *text)
{
	(void)priority;
	assert_int_equal(strlen(id), 32);
	note(text);
}

static void listen_for_notifications(const struct sysroot *sysroot)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert_true(text_format(address.sun_path, sizeof(address.sun_path), "%s/notify",
				sysroot->dir));
	guest.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(guest.notify >= 0);
	assert_int_equal(
		bind(guest.notify, (const struct sockaddr *)&address, sizeof(address)),
		0);
	assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
}

/* A licensed guest whose token is the one of license.token_file. */
static struct agent *begin(const struct sysroot *sysroot, const struct happening *next)
{
	static const char *const folders[] = { PATHS_TOKENS, PATHS_RUN, "/srv" };
	struct agent *agent;

	sysroot_empty(sysroot);
	guest.sysroot = sysroot;
	guest.next = next;
	guest.now = 0;
	guest.log[0] = '\0';
	assert_int_equal(pipe2(guest.signal, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(guest.journal, O_CLOEXEC | O_NONBLOCK), 0);
	listen_for_notifications(sysroot);
	/* Nothing is asked of this machine's systemd. */
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1),
			 0);
	assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);

	agent = agent_stage_guest(sysroot, &request.options, &machine);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		sysroot_mkdir(sysroot, folders[i]);
	sysroot_write(sysroot, PATHS_SMI, "");
	assert_int_equal(fchmodat(sysroot->root.fd, &PATHS_SMI[1], 0755, 0), 0);
	machine.runner.cancel_fd = guest.signal[0];
	machine.licensed = true;
	agent->context.settings.monitor.interval = 60;
	(void)strcpy(agent->context.settings.monitor.backend, "nvidia-smi");
	agent->context.settings.monitor.metrics_file[0] = '\0';
	return agent;
}

static void end(struct agent *agent)
{
	agent_stage_end(agent);
	(void)close(guest.notify);
	for (size_t i = 0; i < 2; i++) {
		(void)close(guest.signal[i]);
		(void)close(guest.journal[i]);
	}
}

/* Runs the monitor until the signal, which is at the end of what happens. */
static void watch_guest(struct agent *agent)
{
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(command_monitor(agent, &request, &report, &err), -1);
	if (!err.interrupted)
		fail_msg("%s", err.text);
	assert_null(report);
	hear_notifications();
}

static bool is_there(const char *path)
{
	struct stat st;

	return root_stat(&guest.sysroot->root, path, &st);
}

static void write_file(const char *path)
{
	sysroot_write(guest.sysroot, path, "x\n");
}

static void nvidia_smi_fails(void)
{
	sysroot_mkdir(guest.sysroot, "/sys/module/nvidia");
	write_file("/sys/module/nvidia/version");
}

static void nvidia_smi_answers(void)
{
	root_discard(&guest.sysroot->root, "/sys/module/nvidia/version");
}

static void the_license_goes(void)
{
	machine.licensed = false;
}

static void the_license_comes(void)
{
	machine.licensed = true;
}

static void gridd_conf_is_written(void)
{
	write_file("/etc/nvidia/gridd.conf");
}

static void a_token_is_installed(void)
{
	write_file(PATHS_TOKEN);
}

static void the_state_is_written(void)
{
	write_file(PATHS_STATE_FILE);
}

static void a_run_ends(void)
{
	write_file(PATHS_LAST_RUN);
}

static void another_file_is_written(void)
{
	write_file("/run/other");
	write_file("/etc/nvidia/other");
}

static void gridd_writes(void)
{
	assert_int_equal(write(guest.journal[1], "g", 1), 1);
}

static void others_write(void)
{
	assert_int_equal(write(guest.journal[1], "o", 1), 1);
}

static void a_driver_is_replaced(void)
{
	announce_change(&guest.sysroot->root, true);
}

static void the_driver_is_replaced(void)
{
	announce_change(&guest.sysroot->root, false);
}

static void the_guest_is_sealed(void)
{
	write_file(PATHS_SEALED);
}

static void a_run_by_hand_opens_it(void)
{
	root_discard(&guest.sysroot->root, PATHS_SEALED);
	a_run_ends();
}

/* What the monitor does of what happens, and when. */
static const struct {
	const char *name;
	struct happening happens[8];
	const char *expected;
} cases[] = {
	{ "an interval lies between two looks",
	  { { 130, NULL } },
	  QUIET "60 asks\n120 asks\n" },
	{ "one answer that fails is not told",
	  { { 30, nvidia_smi_fails }, { 61, nvidia_smi_answers }, { 100, NULL } },
	  QUIET "60 asks\n65 asks\n" },
	{ "a driver that stays silent is told once, and when it answers again",
	  { { 30, nvidia_smi_fails }, { 130, nvidia_smi_answers }, { 200, NULL } },
	  QUIET "60 asks\n65 asks\n65 STATUS=the driver gives no answer\n"
		"65 " NO_ANSWER "\n125 asks\n185 asks\n185 STATUS=licensed\n"
		"185 the driver answers again\n" },
	{ "a license that goes and comes",
	  { { 30, the_license_goes }, { 70, the_license_comes }, { 130, NULL } },
	  QUIET "60 asks\n60 STATUS=not licensed\n" UNLICENSED
		"120 asks\n" LICENSED("120") },
	{ "gridd.conf",
	  { { 10, gridd_conf_is_written }, { 30, NULL } },
	  QUIET "10 asks\n" },
	{ "the token",
	  { { 10, a_token_is_installed }, { 30, NULL } },
	  QUIET "10 asks\n" },
	{ "the state",
	  { { 10, the_state_is_written }, { 30, NULL } },
	  QUIET "10 asks\n" },
	{ "the end of a run", { { 10, a_run_ends }, { 30, NULL } }, QUIET "10 asks\n" },
	{ "of another file nothing is to be seen",
	  { { 10, another_file_is_written }, { 30, NULL } },
	  QUIET },
	{ "many changes make one look a second",
	  { { 0.2, gridd_conf_is_written },
	    { 0.4, a_token_is_installed },
	    { 1.2, a_run_ends },
	    { 30, NULL } },
	  QUIET "1 asks\n2 asks\n" },
	{ "a driver that is being replaced is left alone",
	  { { 10, a_driver_is_replaced }, { 75, the_driver_is_replaced }, { 100, NULL } },
	  QUIET "75 asks\n" },
	{ "a sealed guest is left alone",
	  { { 10, the_guest_is_sealed }, { 75, a_run_by_hand_opens_it }, { 100, NULL } },
	  QUIET "75 asks\n" },
	{ "what nvidia-gridd writes is a reason to look",
	  { { 10, gridd_writes }, { 30, NULL } },
	  QUIET "10 asks\n" },
	{ "others' lines are none, and nobody listens to each",
	  { { 10, others_write },
	    { 10.5, others_write },
	    { 11, gridd_writes },
	    { 11.5, others_write },
	    { 30, NULL } },
	  QUIET "12 asks\n" },
};

static void the_monitor_looks_when_something_may_have_changed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct agent *agent = begin(*state, cases[i].happens);
		char expected[4096];

		watch_guest(agent);
		(void)text_format(expected, sizeof(expected), "%s%.0f STOPPING=1\n",
				  cases[i].expected, guest.now);
		if (strcmp(guest.log, expected) != 0)
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].name, guest.log,
				 expected);
		end(agent);
	}
}

/* The caller frees it; "" where there is none. */
static char *text_of(const char *path)
{
	struct error err = ERROR_INIT;
	char *text = NULL;
	size_t size;

	if (file_read(&guest.sysroot->root, path, 65536, &text, &size, &err) < 0)
		text = strdup("");
	assert_non_null(text);
	return text;
}

static void assert_told(bool licensed)
{
	cleanup_free char *text = text_of(PATHS_STATUS);

	assert_int_equal(is_there(PATHS_LICENSED), licensed);
	if (!strstr(text, licensed ? "\"licensed\":true" : "\"licensed\":false"))
		fail_msg("%s", text);
}

static void it_is_told_that_all_is_licensed(void)
{
	assert_told(true);
}

static void it_is_told_that_not_all_is_licensed(void)
{
	assert_told(false);
}

static void the_rest_of_the_guest_is_told(void **state)
{
	static const struct happening happens[] = {
		{ 10, it_is_told_that_all_is_licensed },      { 30, the_license_goes },
		{ 61, it_is_told_that_not_all_is_licensed },  { 70, the_license_comes },
		{ 121, it_is_told_that_all_is_licensed },     { 121, nvidia_smi_fails },
		{ 190, it_is_told_that_not_all_is_licensed }, { 190, NULL },
	};
	struct agent *agent = begin(*state, happens);

	watch_guest(agent);
	assert_null(guest.next->act);
	end(agent);
}

static void assert_metrics(const char *path, const char *sample, unsigned polled)
{
	cleanup_free char *text = text_of(path);
	char line[128];

	(void)text_format(line, sizeof(line),
			  "vgpu_agent_last_poll_timestamp_seconds %lld\n",
			  (long long)(EPOCH + polled));
	if (!strstr(text, line) || !strstr(text, sample))
		fail_msg("not \"%s\" or not \"%s\" in:\n%s", line, sample, text);
}

static void they_are_of_the_first_look(void)
{
	assert_metrics(METRICS_FILE, "vgpu_agent_poll_errors_total 0\n", 0);
}

static void they_are_of_the_tenth_minute(void)
{
	assert_metrics(METRICS_FILE, "vgpu_agent_poll_errors_total 0\n", 600);
}

static void they_tell_of_the_failures(void)
{
	assert_metrics(METRICS_FILE, "vgpu_agent_poll_errors_total 2\n", 665);
}

/* Else each look would wear out a disk, and wake whoever collects them. */
static void metrics_are_written_where_they_say_something_new(void **state)
{
	static const struct happening happens[] = {
		{ 1, they_are_of_the_first_look },
		{ 590, they_are_of_the_first_look },
		{ 610, they_are_of_the_tenth_minute },
		{ 610, nvidia_smi_fails },
		{ 670, they_tell_of_the_failures },
		{ 670, NULL },
	};
	struct agent *agent = begin(*state, happens);

	(void)strcpy(agent->context.settings.monitor.metrics_file, METRICS_FILE);
	watch_guest(agent);
	assert_null(guest.next->act);
	end(agent);
}

static void a_folder_of_others_holds_a_link_to_the_metrics(void **state)
{
	static const struct {
		const char *target;
		bool ours;
	} rows[] = { { PATHS_METRICS, true }, { "/etc/os-release", false } };
	static const struct happening happens[] = { { 1, NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, happens);
		struct stat st;

		assert_int_equal(symlinkat(rows[i].target, agent->context.root.fd,
					   &METRICS_FILE[1]),
				 0);
		(void)strcpy(agent->context.settings.monitor.metrics_file, METRICS_FILE);
		watch_guest(agent);

		assert_int_equal(fstatat(agent->context.root.fd, &METRICS_FILE[1], &st,
					 AT_SYMLINK_NOFOLLOW),
				 0);
		assert_int_equal(S_ISLNK(st.st_mode), rows[i].ours);
		assert_metrics(rows[i].ours ? PATHS_METRICS : METRICS_FILE,
			       "vgpu_agent_poll_errors_total 0\n", 0);
		sysroot_assert_text(*state, "/etc/os-release",
				    "ID=debian\nVERSION_ID=\"12\"\n");
		end(agent);
	}
}

static void the_watchdog_is_told_in_half_its_time(void **state)
{
	static const struct happening happens[] = { { 45, NULL } };
	struct agent *agent = begin(*state, happens);

	assert_int_equal(setenv("WATCHDOG_USEC", "40000000", 1), 0);
	watch_guest(agent);

	assert_string_equal(guest.log,
			    QUIET "20 WATCHDOG=1\n40 WATCHDOG=1\n45 STOPPING=1\n");
	end(agent);
}

static void another_token_lies_in_the_file(void)
{
	write_file(TOKEN_FILE);
}

static void the_root_unit_is_woken(void)
{
	assert_true(is_there(PATHS_ROTATE));
}

static void the_root_unit_is_not_woken(void)
{
	assert_false(is_there(PATHS_ROTATE));
}

static void another_token_wakes_the_root_unit(void **state)
{
	static const struct {
		struct happening happens[5];
	} rows[] = {
		{ { { 5, the_root_unit_is_not_woken },
		    { 10, another_token_lies_in_the_file },
		    { 10, the_root_unit_is_woken },
		    { 11, NULL } } },
		{ { { 5, the_guest_is_sealed },
		    { 10, another_token_lies_in_the_file },
		    { 70, the_root_unit_is_not_woken },
		    { 90, NULL } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, rows[i].happens);

		(void)strcpy(agent->context.settings.license.token_file, TOKEN_FILE);
		sysroot_write(*state, TOKEN_FILE, "the installed one");
		sysroot_write(*state, PATHS_TOKEN, "the installed one");
		watch_guest(agent);
		assert_null(guest.next->act);
		end(agent);
	}
}

/* A signal ends also a look, and so what it has begun. */
static void a_signal_ends_a_look(void **state)
{
	static const struct happening happens[] = { { 600, NULL } };
	struct agent *agent = begin(*state, happens);

	machine.fail_at = 2;
	machine.fault = MACHINE_CUT_OFF;
	watch_guest(agent);

	assert_string_equal(guest.log, QUIET "60 asks\n60 STOPPING=1\n");
	end(agent);
}

static void where_nothing_is_to_be_watched_it_ends_at_once(void **state)
{
	static const struct {
		bool offline;
		enum error_code code;
		const char *log;
	} rows[] = {
		{ true, ERROR_USAGE, "" },
		{ false, ERROR_NO_GPU, "0 READY=1\n" }, /* the unit has started */
	};
	static const struct happening happens[] = { { 600, NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, happens);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		agent->context.offline = rows[i].offline;
		assert_int_equal(root_remove_tree(&agent->context.root, "/bus", &err), 0);
		assert_int_equal(command_monitor(agent, &request, &report, &err), -1);
		hear_notifications();

		assert_int_equal(err.code, rows[i].code);
		assert_null(report);
		assert_string_equal(guest.log, rows[i].log);
		end(agent);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_monitor_looks_when_something_may_have_changed),
		TEST(the_rest_of_the_guest_is_told),
		TEST(metrics_are_written_where_they_say_something_new),
		TEST(a_folder_of_others_holds_a_link_to_the_metrics),
		TEST(the_watchdog_is_told_in_half_its_time),
		TEST(another_token_wakes_the_root_unit),
		TEST(a_signal_ends_a_look),
		TEST(where_nothing_is_to_be_watched_it_ends_at_once),
	};

	return cmocka_run_group_tests_name("command_monitor", tests, NULL, NULL);
}
