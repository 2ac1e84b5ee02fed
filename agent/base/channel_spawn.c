/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>

#include "base/channel.h"
#include "base/text.h"

#define FDS_MAX 64
#define ENV_MAX 16

/*
 * What of our environment the worker may see: libcurl's proxies and OpenSSL's trust.
 * Not SSLKEYLOGFILE, which would write the keys of the connection to a file.
 */
static const char *const env_names[] = {
	"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",     "ALL_PROXY",
	"no_proxy",   "NO_PROXY",    "PATH",        "SSL_CERT_FILE", "SSL_CERT_DIR",
};

static void close_all(int *fds)
{
	for (size_t i = 0; i < FDS_MAX; i++) {
		if (fds[i] > 0)
			(void)close(fds[i]);
	}
}

static void env_free(char **env)
{
	for (size_t i = 0; i < ENV_MAX; i++)
		free(env[i]);
}

static int env_fill(char **env, struct error *err)
{
	size_t used = 0;

	env[used] = strdup("LC_ALL=C");
	if (!env[used++])
		return error_set_errno(err, ENOMEM, "starting the worker");

	for (size_t i = 0; i < ARRAY_SIZE(env_names); i++) {
		const char *value = secure_getenv(env_names[i]);

		if (!value)
			continue;
		env[used] = text_print("%s=%s", env_names[i], value);
		if (!env[used++])
			return error_set_errno(err, ENOMEM, "starting the worker");
	}

	return 0;
}

struct spawning {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char *program; /* posix_spawn() takes no const */
	char *env[ENV_MAX];
	int high[FDS_MAX]; /* copies above the numbers that the worker will use */
};

static void spawning_done(struct spawning *spawning)
{
	(void)posix_spawn_file_actions_destroy(&spawning->actions);
	(void)posix_spawnattr_destroy(&spawning->attr);
	env_free(spawning->env);
	free(spawning->program);
	close_all(spawning->high);
}

/* Descriptor `fd` becomes `target` there; copied first, because targets may be sources.
 */
static int spawning_hand(struct spawning *spawning, int fd, int target)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, CHANNEL_FD + FDS_MAX);

	if (high < 0)
		return errno;
	spawning->high[target - CHANNEL_FD] = high;
	return posix_spawn_file_actions_adddup2(&spawning->actions, high, target);
}

/* A process group of its own, no inherited signal settings, nothing on stdin and stdout.
 */
static int spawning_prepare(struct spawning *spawning)
{
	sigset_t none, all;
	int errnum;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	errnum = posix_spawnattr_setflags(&spawning->attr,
					  POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
						  POSIX_SPAWN_SETSIGMASK);
	if (!errnum)
		errnum = posix_spawnattr_setsigmask(&spawning->attr, &none);
	if (!errnum)
		errnum = posix_spawnattr_setsigdefault(&spawning->attr, &all);
	if (!errnum)
		errnum = posix_spawn_file_actions_addopen(&spawning->actions, 0,
							  "/dev/null", O_RDONLY, 0);
	if (!errnum)
		errnum = posix_spawn_file_actions_addopen(&spawning->actions, 1,
							  "/dev/null", O_WRONLY, 0);
	return errnum;
}

int channel_spawn(const char *program, const int *fds, size_t fd_count, pid_t *ret_pid,
		  int *ret_fd, struct error *err)
{
	cleanup(spawning_done) struct spawning spawning = { .high = { 0 } };
	cleanup_fd int ours = -1, theirs = -1;
	char *argv[] = { NULL, NULL };
	int pair[2], errnum;
	pid_t pid;

	(void)posix_spawn_file_actions_init(&spawning.actions);
	(void)posix_spawnattr_init(&spawning.attr);
	if (fd_count >= FDS_MAX)
		return error_set(err, ERROR_INTERNAL, "%zu files for the worker",
				 fd_count);
	if (env_fill(spawning.env, err) < 0)
		return -1;
	spawning.program = argv[0] = strdup(program);
	if (!argv[0])
		return error_set_errno(err, ENOMEM, "starting the worker");

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "talking to the worker");
	ours = pair[0];
	theirs = pair[1];

	errnum = spawning_prepare(&spawning);
	if (!errnum)
		errnum = spawning_hand(&spawning, theirs, CHANNEL_FD);
	for (size_t i = 0; i < fd_count && !errnum; i++)
		errnum = spawning_hand(&spawning, fds[i], CHANNEL_FIRST_FILE + (int)i);
	if (!errnum)
		errnum = posix_spawn(&pid, program, &spawning.actions, &spawning.attr,
				     argv, spawning.env);
	if (errnum)
		return error_set_errno(err, errnum, "starting %s", program);

	*ret_pid = pid;
	*ret_fd = take_fd(ours);
	return 0;
}
