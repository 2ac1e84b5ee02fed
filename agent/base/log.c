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
	double began_at;     /* of the bar that is open... */
	uint64_t began_with; /* ...and how much was there already */
	unsigned tenth;      /* the last 10 % line printed */
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

bool log_is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool log_has_colour(int fd)
{
	const char *no_colour = getenv("NO_COLOR");

	return log_is_terminal(fd) && !(no_colour && *no_colour);
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

#define MIB (1024.0 * 1024.0)
#define BAR_WIDTH 12 /* with all that stands behind it, in 80 columns */
#define COLUMNS 80   /* where the terminal does not say */
#define REDRAW_S 0.1
#define RATE_AFTER_S 1.0 /* before that it says nothing */

/* "1.5 of 340.0 MiB"; small ones in their own unit. */
static void say_part(uint64_t done, uint64_t total, char *text, size_t size)
{
	char some[TEXT_SIZE_MAX], all[TEXT_SIZE_MAX];

	text_size(done, some);
	text_size(total, all);
	if ((double)total >= MIB)
		(void)text_format(text, size, "%.1f of %.1f MiB", (double)done / MIB,
				  (double)total / MIB);
	else
		(void)text_format(text, size, "%s of %s", some, all);
}

/* ", 12.3 MiB/s, 20 s left" of what came since the bar began; "" at first. */
static void say_rate(uint64_t done, uint64_t total, double now, char *text, size_t size)
{
	double took = now - progress.began_at;
	double rate = took > 0 ? (double)(done - progress.began_with) / took : 0;
	double left = rate > 0 ? (double)(total - done) / rate : 0;
	char each[TEXT_SIZE_MAX];

	*text = '\0';
	if (took < RATE_AFTER_S || rate < 1 || done == total)
		return;
	text_size((uint64_t)rate, each);
	(void)text_format(text, size,
			  left < 100 ? ", %s/s, %.0f s left" : ", %s/s, %.0f min left",
			  each, left < 100 ? left : left / 60);
}

/* In one row, over what is there: a row that is too long could not be taken back. */
static void draw_line(const char *line)
{
	struct winsize size = { .ws_col = 0 };

	(void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	(void)fprintf(stderr, "\r%.*s\033[K", (size.ws_col ? size.ws_col : COLUMNS) - 1,
		      line);
}

static void draw_bar(const char *what, uint64_t done, uint64_t total)
{
	unsigned filled = total ? (unsigned)(done * BAR_WIDTH / total) : 0;
	double now = clock_monotonic();
	char bar[BAR_WIDTH + 1], part[64], rate[64], size[TEXT_SIZE_MAX], line[256];

	if (now - progress.drawn_at < REDRAW_S && done != total)
		return;
	if (!progress.open || done < progress.began_with) {
		progress.began_at = now;
		progress.began_with = done;
	}
	progress.drawn_at = now;
	progress.open = true;

	if (total == 0) {
		text_size(done, size);
		(void)text_format(line, sizeof(line), "%-10s %s", what, size);
		draw_line(line);
		return;
	}
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', filled);
	bar[BAR_WIDTH] = '\0';
	say_part(done, total, part, sizeof(part));
	say_rate(done, total, now, rate, sizeof(rate));
	(void)text_format(line, sizeof(line), "%-10s [%s] %3u %%  %s%s", what, bar,
			  (unsigned)(done * 100 / total), part, rate);
	draw_line(line);
}

void log_progress(const char *what, uint64_t done, uint64_t total)
{
	char size[TEXT_SIZE_MAX];
	unsigned tenth;

	if (level_wanted < LOG_LEVEL_NOTICE)
		return;
	if (total && done > total)
		done = total;
	if (log_is_terminal(STDERR_FILENO)) {
		draw_bar(what, done, total);
		return;
	}

	tenth = total ? (unsigned)(done * 10 / total) : 0;
	if (tenth > progress.tenth) {
		text_size(total, size);
		(void)fprintf(stderr, "%s: %u %% of %s\n", what, tenth * 10, size);
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
