/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/gridd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/deadline.h"
#include "base/text.h"
#include "model/paths.h"

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER SERVICE ".Manager"
#define UNIT SERVICE ".Unit"
#define PRIVATE_SOCKET "unix:path=/run/systemd/private"
#define CALL_TIMEOUT_US UINT64_C(25000000)

static void bus_done(sd_bus **bus)
{
	(void)sd_bus_flush_close_unref(*bus);
}

static void message_done(sd_bus_message **message)
{
	(void)sd_bus_message_unref(*message);
}

static void slot_done(sd_bus_slot **slot)
{
	(void)sd_bus_slot_unref(*slot);
}

/* What the bus says is for people, and comes from outside. */
static int fail(struct error *err, int r, const sd_bus_error *said, const char *what)
{
	bool denied = sd_bus_error_has_name(said, SD_BUS_ERROR_ACCESS_DENIED) ||
		      sd_bus_error_has_name(
			      said, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);

	if (!sd_bus_error_is_set(said))
		return error_set_errno(err, -r, "%s", what);

	(void)error_set(err, denied ? ERROR_PERMISSION : ERROR_INTERNAL, "%s: %s", what,
			said->message ? said->message : said->name);
	return denied ? error_hint(err, "run it as root") : -1;
}

/* systemd's own socket, as systemctl uses it: small images have no D-Bus daemon. */
static int open_private(sd_bus **ret_bus)
{
	cleanup(bus_done) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, PRIVATE_SOCKET);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		*ret_bus = take_ptr(bus);
	return r;
}

static int open_bus(sd_bus **ret_bus, struct error *err)
{
	int r = sd_bus_open_system(ret_bus);

	if (r < 0 && geteuid() == 0 && open_private(ret_bus) >= 0)
		r = 0;
	if (r < 0) {
		(void)error_set_errno(err, -r, "connecting to the system bus");
		return error_hint(err,
				  "the license daemon needs a guest that systemd has "
				  "booted");
	}

	(void)sd_bus_set_method_call_timeout(*ret_bus, CALL_TIMEOUT_US);
	return 0;
}

static int find_unit(sd_bus *bus, char path[256], struct error *err)
{
	cleanup(sd_bus_error_free) sd_bus_error said = SD_BUS_ERROR_NULL;
	cleanup(message_done) sd_bus_message *reply = NULL;
	const char *found;
	int r = sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER, "LoadUnit", &said,
				   &reply, "s", PATHS_GRIDD_UNIT);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &found);
	if (r < 0)
		return fail(err, r, &said, "asking systemd for " PATHS_GRIDD_UNIT);
	if (!text_copy(path, 256, found))
		return error_set(err, ERROR_INTERNAL,
				 "systemd named " PATHS_GRIDD_UNIT " too long");
	return 0;
}

static int get_text(sd_bus *bus, const char *path, const char *property, char *ret_value,
		    size_t size, struct error *err)
{
	cleanup(sd_bus_error_free) sd_bus_error said = SD_BUS_ERROR_NULL;
	cleanup_free char *value = NULL;
	int r = sd_bus_get_property_string(bus, SERVICE, path, UNIT, property, &said,
					   &value);

	if (r < 0)
		return fail(err, r, &said, "asking for the state of " PATHS_GRIDD_UNIT);
	(void)text_copy(ret_value, size, value);
	text_sanitize(ret_value);
	return 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

/* All of the unit's state that decides whether nvidia-gridd must be started again. */
static int read_state(sd_bus *bus, struct gridd_state *state, struct error *err)
{
	static const char *const enabled[] = { "enabled", "enabled-runtime", "alias",
					       "static",  "generated",       NULL };
	static const char *const active[] = { "active", "activating", "reloading", NULL };
	cleanup(sd_bus_error_free) sd_bus_error said = SD_BUS_ERROR_NULL;
	char path[256], load[32], file[32], active_state[32], sub[32];
	uint64_t started = 0;
	int r;

	if (find_unit(bus, path, err) < 0 ||
	    get_text(bus, path, "LoadState", load, sizeof(load), err) < 0 ||
	    get_text(bus, path, "UnitFileState", file, sizeof(file), err) < 0 ||
	    get_text(bus, path, "ActiveState", active_state, sizeof(active_state), err) <
		    0 ||
	    get_text(bus, path, "SubState", sub, sizeof(sub), err) < 0)
		return -1;

	/* When the start of the unit began, not when the unit became active: nvidia-gridd
	 * logs reasons before that. */
	r = sd_bus_get_property_trivial(bus, SERVICE, path, UNIT, "InactiveExitTimestamp",
					&said, 't', &started);
	if (r < 0)
		return fail(err, r, &said, "asking for the start of " PATHS_GRIDD_UNIT);

	*state = (struct gridd_state){
		.exists = strcmp(load, "loaded") == 0 || strcmp(load, "masked") == 0,
		.masked = strcmp(load, "masked") == 0,
		.enabled = is_one_of(file, enabled),
		.active = is_one_of(active_state, active),
		.failed = strcmp(active_state, "failed") == 0,
		.started = started > INT64_MAX ? 0 : (int64_t)started,
	};
	if (strcmp(load, "loaded") != 0)
		(void)text_format(state->detail, sizeof(state->detail), "%s", load);
	else
		(void)text_format(state->detail, sizeof(state->detail), "%s (%s)",
				  active_state, sub);
	return 0;
}

bool gridd_is_active(const char *unit)
{
	cleanup(bus_done) sd_bus *bus = NULL;
	cleanup(message_done) sd_bus_message *reply = NULL;
	cleanup_free char *state = NULL;
	struct error ignored = ERROR_INIT;
	const char *path;

	/* GetUnit: one that nobody has loaded is not active, and need not be loaded. */
	return open_bus(&bus, &ignored) == 0 &&
	       sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER, "GetUnit", NULL,
				  &reply, "s", unit) >= 0 &&
	       sd_bus_message_read(reply, "o", &path) >= 0 &&
	       sd_bus_get_property_string(bus, SERVICE, path, UNIT, "ActiveState", NULL,
					  &state) >= 0 &&
	       strcmp(state, "active") == 0;
}

int gridd_look(struct gridd_state *ret_state, struct error *err)
{
	cleanup(bus_done) sd_bus *bus = NULL;

	if (open_bus(&bus, err) < 0)
		return -1;
	return read_state(bus, ret_state, err);
}

/* One job of systemd's. Signals are dispatched only after its path is known. */
struct job {
	char path[256];
	char result[32]; /* "done", "failed", ...; "" while it runs */
};

static int on_job_removed(sd_bus_message *message, void *context, sd_bus_error *said)
{
	struct job *job = context;
	const char *path, *result;

	(void)said;
	if (sd_bus_message_read(message, "uoss", NULL, &path, NULL, &result) >= 0 &&
	    strcmp(path, job->path) == 0)
		(void)text_copy(job->result, sizeof(job->result), result);
	return 0;
}

static int call_manager(sd_bus *bus, const char *method, const char *what,
			struct error *err)
{
	cleanup(sd_bus_error_free) sd_bus_error said = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER, method, &said,
				   NULL, "");

	return r < 0 ? fail(err, r, &said, what) : 0;
}

/* Enables the unit as systemctl does, and makes systemd read the new link. */
static int enable(sd_bus *bus, struct error *err)
{
	cleanup(sd_bus_error_free) sd_bus_error said = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER, "EnableUnitFiles",
				   &said, NULL, "asbb", 1, PATHS_GRIDD_UNIT, 0, 0);

	if (r < 0)
		return fail(err, r, &said, "enabling " PATHS_GRIDD_UNIT);
	return call_manager(bus, "Reload", "making systemd read its units again", err);
}

static int fail_missing(struct error *err)
{
	(void)error_set(err, ERROR_INSTALL, PATHS_GRIDD_UNIT " is not there");
	return error_hint(err,
			  "the driver's installer leaves it out where systemctl is not "
			  "on its PATH: install the driver again");
}

/* Queues the restart, which also starts a unit that is stopped. */
static int queue_restart(sd_bus *bus, struct job *job, struct error *err)
{
	cleanup(sd_bus_error_free) sd_bus_error said = SD_BUS_ERROR_NULL;
	cleanup(message_done) sd_bus_message *reply = NULL;
	const char *path;
	int r;

	/* A daemon that failed too often may otherwise not start again for a while. */
	(void)sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER, "ResetFailedUnit",
				 NULL, NULL, "s", PATHS_GRIDD_UNIT);
	r = sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER, "RestartUnit", &said,
			       &reply, "ss", PATHS_GRIDD_UNIT, "replace");
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r < 0 && sd_bus_error_has_name(&said, SERVICE ".NoSuchUnit"))
		return fail_missing(err);
	if (r < 0)
		return fail(err, r, &said, "restarting " PATHS_GRIDD_UNIT);

	(void)text_copy(job->path, sizeof(job->path), path);
	return 0;
}

/* Sleeps until the bus has something for us. 0 also at the deadline. */
static int wait_for_bus(sd_bus *bus, int timeout_ms, int cancel_fd, struct error *err)
{
	int events = sd_bus_get_events(bus);
	struct pollfd polls[] = {
		{ .fd = sd_bus_get_fd(bus), .events = (short)(events < 0 ? 0 : events) },
		{ .fd = cancel_fd, .events = POLLIN },
	};

	if (poll(polls, ARRAY_SIZE(polls), timeout_ms) < 0 && errno != EINTR)
		return error_set_errno(err, errno, "waiting for systemd");
	if (polls[1].revents)
		return error_set_interrupted(err);
	return 0;
}

/*
 * Until systemd says that the job is over. The signal JobRemoved was subscribed before
 * the job was queued, so it cannot be missed.
 */
static int wait_for_job(sd_bus *bus, const struct job *job, unsigned timeout_s,
			int cancel_fd, struct error *err)
{
	struct deadline deadline = deadline_in(timeout_s);

	while (!job->result[0]) {
		bool late = deadline_passed(&deadline);
		int r = sd_bus_process(bus, NULL);

		if (r < 0)
			return error_set_errno(err, -r, "waiting for " PATHS_GRIDD_UNIT);
		if (r > 0)
			continue;
		if (late) {
			(void)error_set(err, ERROR_UNLICENSED,
					PATHS_GRIDD_UNIT " did not start within %u s",
					timeout_s);
			return error_hint(err, "see what it waits for: systemctl status "
					       "nvidia-gridd");
		}
		if (wait_for_bus(bus, deadline_poll_ms(&deadline), cancel_fd, err) < 0)
			return -1;
	}

	return 0;
}

/* The job's "failed" says nothing; the service's own result may: "exit-code", "timeout".
 */
static int fail_job(sd_bus *bus, const struct job *job, struct error *err)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *result = NULL;
	char path[256];

	if (find_unit(bus, path, &ignored) < 0 ||
	    sd_bus_get_property_string(bus, SERVICE, path, SERVICE ".Service", "Result",
				       NULL, &result) < 0 ||
	    strcmp(result, "success") == 0)
		(void)error_set(err, ERROR_UNLICENSED,
				PATHS_GRIDD_UNIT " did not start: %s", job->result);
	else
		(void)error_set(err, ERROR_UNLICENSED,
				PATHS_GRIDD_UNIT " did not start: %s (%s)", job->result,
				result);
	return error_hint(err, "see its log: journalctl -u nvidia-gridd");
}

/* Who has masked it meant it: nothing here takes that back. */
static int fail_masked(struct error *err)
{
	(void)error_set(err, ERROR_UNLICENSED, PATHS_GRIDD_UNIT " is masked");
	return error_hint(err,
			  "systemctl unmask " PATHS_GRIDD_UNIT ", then run this again");
}

int gridd_restart(bool reload, unsigned timeout_s, int cancel_fd, struct error *err)
{
	cleanup(bus_done) sd_bus *bus = NULL;
	cleanup(slot_done) sd_bus_slot *slot = NULL;
	struct gridd_state state = { 0 };
	struct job job = { 0 };
	int r;

	if (open_bus(&bus, err) < 0)
		return -1;
	if (reload &&
	    call_manager(bus, "Reload", "making systemd read its units again", err) < 0)
		return -1;
	if (read_state(bus, &state, err) < 0)
		return -1;
	if (!state.exists)
		return fail_missing(err);
	if (state.masked)
		return fail_masked(err);
	if (!state.enabled && enable(bus, err) < 0)
		return -1;

	r = sd_bus_match_signal(bus, &slot, SERVICE, MANAGER_PATH, MANAGER, "JobRemoved",
				on_job_removed, &job);
	if (r < 0)
		return error_set_errno(err, -r, "listening to systemd");
	if (call_manager(bus, "Subscribe", "listening to systemd", err) < 0 ||
	    queue_restart(bus, &job, err) < 0 ||
	    wait_for_job(bus, &job, timeout_s, cancel_fd, err) < 0)
		return -1;
	return strcmp(job.result, "done") == 0 ? 0 : fail_job(bus, &job, err);
}
