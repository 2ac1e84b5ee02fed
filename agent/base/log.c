/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/text.h"

/* The one process-wide state of the agent: what the user asked to read. */
static enum log_level level_wanted = LOG_LEVEL_NOTICE;

static struct {
	bool open;
	double drawn_at;
	unsigned tenth; /* the last 10 % line printed */
} progress;

void log_set_level(enum log_level level)
{
	level_wanted = level;
}

bool log_shows(enum log_level level)
{
	return level <= level_wanted;
}

bool log_level_parse(const char *word, enum log_level *ret_level)
{
	static const char *const words[] = { "error", "warning", "notice", "info",
					     "debug" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], word) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_has_colour(int fd)
{
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

	return isatty(fd) && !(no_colour && *no_colour) && term &&
	       strcmp(term, "dumb") != 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	bool colour = level <= LOG_LEVEL_WARNING && log_has_colour(STDERR_FILENO);
	char line[1024];
	va_list args;

	if (level > level_wanted)
		return;

	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	text_sanitize(line);

	log_progress_end();
	(void)fprintf(stderr, "%s%s%s\n",
		      !colour                    ? ""
		      : level == LOG_LEVEL_ERROR ? "\033[1;31m"
						 : "\033[33m",
		      line, colour ? "\033[0m" : "");
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1024.0 * 1024.0);
}

#define BAR_WIDTH 24
#define REDRAW_S 0.1

static void draw_bar(const char *what, uint64_t done, uint64_t total)
{
	unsigned filled = total ? (unsigned)(done * BAR_WIDTH / total) : 0;
	double now = clock_monotonic();
	char bar[BAR_WIDTH + 1];

	if (now - progress.drawn_at < REDRAW_S && done != total)
		return;
	progress.drawn_at = now;
	progress.open = true;

	if (total == 0) {
		(void)fprintf(stderr, "\r%-10s %.1f MiB\033[K", what, mib(done));
		return;
	}
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	(void)fprintf(stderr, "\r%-10s [%s] %3u %%  %.1f of %.1f MiB\033[K", what, bar,
		      (unsigned)(done * 100 / total), mib(done), mib(total));
}

void log_progress(const char *what, uint64_t done, uint64_t total)
{
	unsigned tenth;

	if (level_wanted < LOG_LEVEL_NOTICE)
		return;
	if (total && done > total)
		done = total;
	if (isatty(STDERR_FILENO)) {
		draw_bar(what, done, total);
		return;
	}

	tenth = total ? (unsigned)(done * 10 / total) : 0;
	if (tenth > progress.tenth) {
		(void)fprintf(stderr, "%s: %u %% of %.1f MiB\n", what, tenth * 10,
			      mib(total));
		progress.tenth = tenth;
	}
}

void log_progress_end(void)
{
	if (progress.open)
		(void)fputc('\n', stderr);
	progress.open = false;
	progress.tenth = 0;
	progress.drawn_at = 0;
}
