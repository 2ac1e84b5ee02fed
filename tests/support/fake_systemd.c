/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_systemd.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "support/cmocka.h"

#define UNIT "nvidia-gridd.service"
#define UNIT_PATH "/org/freedesktop/systemd1/unit/nvidia_2dgridd_2eservice"
#define JOB_PATH "/org/freedesktop/systemd1/job/42"
#define MANAGER "org.freedesktop.systemd1.Manager"

static int answer_property(const struct fake_systemd *fake, sd_bus_message *message)
{
	const struct {
		const char *name, *value;
	} texts[] = {
		{ "LoadState", fake->load },     { "UnitFileState", fake->file },
		{ "ActiveState", fake->active }, { "SubState", fake->sub },
		{ "Result", fake->result },
	};
	const char *interface, *name;

	if (sd_bus_message_read(message, "ss", &interface, &name) < 0)
		return -1;
	if (strcmp(name, "InactiveExitTimestamp") == 0)
		return sd_bus_reply_method_return(message, "v", "t", fake->started);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(name, texts[i].name) == 0)
			return sd_bus_reply_method_return(message, "v", "s",
							  texts[i].value);
	}
	return 0;
}

static int tell_job(const struct fake_systemd *fake, sd_bus *bus, const char *path)
{
	sd_bus_message *signal = NULL;
	int r = sd_bus_message_new_signal(bus, &signal, "/org/freedesktop/systemd1",
					  MANAGER, "JobRemoved");

	if (r >= 0)
		r = sd_bus_message_append(signal, "uoss", 42u, path, UNIT, fake->job);
	if (r >= 0)
		r = sd_bus_message_set_sender(signal, ":1.0");
	if (r >= 0)
		r = sd_bus_send(bus, signal, NULL);
	(void)sd_bus_message_unref(signal);
	return r;
}

static int answer_restart(const struct fake_systemd *fake, sd_bus_message *message)
{
	sd_bus *bus = sd_bus_message_get_bus(message);
	int r = 0;

	/* Another job of the unit ends meanwhile: it is not the one that was asked for.
	 */
	if (fake->job)
		r = tell_job(&(struct fake_systemd){ .job = "canceled" }, bus,
			     "/org/freedesktop/systemd1/job/7");
	if (r >= 0 && fake->job && fake->ends_before_answer)
		r = tell_job(fake, bus, JOB_PATH);
	if (r >= 0)
		r = sd_bus_reply_method_return(message, "o", JOB_PATH);
	if (r >= 0 && fake->job && !fake->ends_before_answer)
		r = tell_job(fake, bus, JOB_PATH);
	return r;
}

static int answer_manager(struct fake_systemd *fake, sd_bus_message *message,
			  const char *member)
{
	size_t used = strlen(fake->calls);

	(void)snprintf(fake->calls + used, sizeof(fake->calls) - used, "%s%s",
		       used ? " " : "", member);
	if (fake->refuse && strcmp(member, fake->refuse) == 0)
		return sd_bus_reply_method_errorf(message, fake->refuse_error,
						  "refused\nfor a test");
	if (strcmp(member, "LoadUnit") == 0 || strcmp(member, "GetUnit") == 0)
		return sd_bus_reply_method_return(message, "o", UNIT_PATH);
	if (strcmp(member, "EnableUnitFiles") == 0)
		return sd_bus_reply_method_return(message, "ba(sss)", 1, 0);
	if (strcmp(member, "RestartUnit") == 0)
		return answer_restart(fake, message);
	return sd_bus_reply_method_return(message, "");
}

static int on_message(sd_bus_message *message, void *context, sd_bus_error *said)
{
	struct fake_systemd *fake = context;
	const char *interface = sd_bus_message_get_interface(message);
	const char *member = sd_bus_message_get_member(message);

	(void)said;
	if (!interface || !member)
		return 0;
	if (strcmp(member, "Hello") == 0)
		return sd_bus_reply_method_return(message, "s", ":1.1");
	if (strcmp(member, "Get") == 0)
		return answer_property(fake, message);
	if (strcmp(interface, MANAGER) == 0)
		return answer_manager(fake, message, member);
	return sd_bus_reply_method_return(message, ""); /* AddMatch, RemoveMatch */
}

static void serve(struct fake_systemd *fake, int fd)
{
	sd_bus *bus = NULL;
	sd_id128_t id;
	int r = sd_id128_randomize(&id);

	if (r >= 0)
		r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_fd(bus, fd, fd);
	if (r >= 0)
		r = sd_bus_set_server(bus, 1, id);
	if (r >= 0)
		r = sd_bus_add_filter(bus, NULL, on_message, fake);
	if (r >= 0)
		r = sd_bus_start(bus);
	while (r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	(void)sd_bus_close_unref(bus);
}

/* One client after the other; ends with the listener. */
static void *run(void *context)
{
	struct fake_systemd *fake = context;
	int fd;

	while ((fd = accept(fake->listener, NULL, NULL)) >= 0)
		serve(fake, fd);
	return NULL;
}

void fake_systemd_start(struct fake_systemd *fake)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[128];

	strcpy(fake->dir, "/tmp/vgpu-test-XXXXXX");
	assert_non_null(mkdtemp(fake->dir));
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/bus", fake->dir);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fake->listener >= 0);
	assert_int_equal(
		bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->listener, 1), 0);

	(void)snprintf(text, sizeof(text), "unix:path=%s", address.sun_path);
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", text, 1), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
}

void fake_systemd_stop(struct fake_systemd *fake)
{
	char path[96];

	(void)shutdown(fake->listener, SHUT_RDWR);
	assert_int_equal(pthread_join(fake->thread, NULL), 0);
	(void)close(fake->listener);
	(void)snprintf(path, sizeof(path), "%s/bus", fake->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(fake->dir), 0);
}
