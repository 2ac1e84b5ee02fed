/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/timex.h>

double clock_monotonic(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int64_t clock_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

int clock_sleep(double seconds, int cancel_fd, struct error *err)
{
	double end = clock_monotonic() + seconds;
	struct pollfd wait = { .fd = cancel_fd, .events = POLLIN };

	for (;;) {
		double left = end - clock_monotonic();
		int n;

		if (left <= 0)
			return 0;
		n = poll(&wait, 1, left > 3600 ? 3600 * 1000 : (int)(left * 1000) + 1);
		if (n > 0)
			return error_set_interrupted(err);
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "waiting");
	}
}

char *clock_text(int64_t time, char *buffer, size_t size)
{
	time_t seconds = time;
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) ||
	    strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		(void)snprintf(buffer, size, "1970-01-01T00:00:00Z");
	return buffer;
}

bool clock_read(const char *text, int64_t *ret_time)
{
	struct tm utc = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);

	if (!end || *end)
		return false;
	*ret_time = timegm(&utc);
	return true;
}

bool clock_is_synchronized(void)
{
	struct timex state = { .modes = 0 };

	return adjtimex(&state) != TIME_ERROR && !(state.status & STA_UNSYNC);
}
