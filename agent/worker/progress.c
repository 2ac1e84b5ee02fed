/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/progress.h"

#include <stdbool.h>

#include "base/clock.h"

#define INTERVAL_S 0.2
#define BEAT_S 5.0
#define WAIT_LEAST_S 5.0

/* A worker does one job for one agent: the only state of the process that is global. */
static struct {
	int fd;
	progress_send *send;
	double said; /* when the last line went out */
	uint64_t done, total;
} progress = { .fd = -1 };

void progress_open(int fd, progress_send *send)
{
	progress.fd = fd;
	progress.send = send;
}

/* `waiting`: 0, with no `why`, for nothing of that kind. */
static void send_line(double now, int64_t waiting, const char *why)
{
	struct error err = ERROR_INIT;
	struct json *value;

	progress.said = now;
	if (progress.fd < 0)
		return;
	value = json_build("{s:I, s:I, s:o*, s:o*}", "done", (int64_t)progress.done,
			   "total", (int64_t)progress.total, "waiting",
			   waiting ? json_build("I", waiting) : NULL, "why",
			   why ? json_words(why) : NULL);
	if (progress.send(progress.fd, "progress", value, &err) < 0)
		progress.fd = -1;
}

void progress_say(uint64_t done, uint64_t total)
{
	double now = clock_monotonic();
	bool last = total && done == total && progress.done != done;

	progress.done = done;
	progress.total = total;
	if (last || now - progress.said >= INTERVAL_S)
		send_line(now, 0, NULL);
}

void progress_port(unsigned port, const char *host)
{
	struct error err = ERROR_INIT;
	struct json *value;

	if (progress.fd < 0)
		return;
	value = json_build("{s:i, s:o}", "port", (int)port, "host", json_words(host));
	if (progress.send(progress.fd, "progress", value, &err) < 0)
		progress.fd = -1;
}

void progress_beat(void)
{
	double now = clock_monotonic();

	if (now - progress.said >= BEAT_S)
		send_line(now, 0, NULL);
}

void progress_wait(double seconds, const char *why)
{
	if (seconds >= WAIT_LEAST_S)
		send_line(clock_monotonic(), (int64_t)seconds, why);
}
