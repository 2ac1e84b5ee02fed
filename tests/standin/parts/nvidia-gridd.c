/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in's nvidia-gridd: reads gridd.conf and the token once, at its start,
 * waits a moment and then calls itself licensed. It talks to nobody. What it logs
 * are the lines of the real daemon, under its identifier.
 */
#include "system.h"
#include "token.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define PID_FILE "/var/run/nvidia-gridd/nvidia-gridd.pid"
#define RESTRICTED                                                                                  \
	"Valid GRID license not found. GPU features and performance will be restricted. To enable " \
	"full functionality please configure licensing details."

struct daemon {
	struct token token;
	const char *product;
	long feature; /* -1: not set, chosen by the type of the vGPU */
	time_t expiry;
	bool licensed;
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char text[1024];
	char path[PATH_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (getenv("STANDIN_ROOT")) {
		FILE *file = fopen(path_at(path, "/var/log/nvidia-gridd.log"), "ae");

		if (file) {
			fprintf(file, "nvidia-gridd[%d]: %s\n", getpid(), text);
			fclose(file);
		}
		return;
	}
	syslog(LOG_NOTICE, "%s", text);
}

static void read_configuration(struct daemon *daemon, char *ret_token_folder, size_t size)
{
	char text[16384];
	char value[256] = "";
	char address[256] = "";

	daemon->feature = -1;
	snprintf(ret_token_folder, size, "/etc/nvidia/ClientConfigToken");
	if (read_text("/etc/nvidia/gridd.conf", text, sizeof(text)) < 0) {
		for (int i = 0; i < 4; i++)
			say("Failed to open file /etc/nvidia/gridd.conf (No such file or directory)");
		return;
	}
	if (value_of(text, "FeatureType", value, sizeof(value)) && *value)
		daemon->feature = strtol(value, NULL, 10);
	if (value_of(text, "ClientConfigTokenPath", value, sizeof(value)) && *value)
		snprintf(ret_token_folder, size, "%s", value);
	value_of(text, "ServerAddress", address, sizeof(address));
	if (!*address)
		say("Configuration parameter ( ServerAddress  %s) not set",
		    daemon->feature < 0 ? "FeatureType" : "");
}

static void write_state(const struct daemon *daemon)
{
	char path[PATH_MAX];
	char fresh[PATH_MAX];
	FILE *file = fopen(path_at(fresh, STATE_FILE ".new"), "we");

	if (!file)
		return;
	fprintf(file, "licensed=%d\nfeature=%ld\nexpiry=%lld\nhost=%s\n",
		daemon->licensed, daemon->feature, (long long)daemon->expiry,
		daemon->token.host);
	fclose(file);
	rename(fresh, path_at(path, STATE_FILE));
}

static const char *refusal(const struct daemon *daemon, char *ret_text, size_t size)
{
	time_t now = time(NULL);

	if (setting_is("gridd", "pool_empty")) {
		snprintf(ret_text, size, "No pool features found for : %s",
			 daemon->product);
		return ret_text;
	}
	if (setting_is("gridd", "clock_windback") || now < daemon->token.not_before)
		return "Clock windback has been detected";
	if (setting_is("gridd", "response_expired") || now >= daemon->token.expires)
		return "The allowed time to process response has expired";
	if (setting_is("gridd", "network"))
		return "Generic network communication failure";
	return NULL;
}

static void acquire(struct daemon *daemon)
{
	const char *host = daemon->token.host;
	char text[128];
	const char *reason = refusal(daemon, text, sizeof(text));
	const char *how;
	struct tm when;

	if (setting_is("gridd", "crash"))
		abort();
	if (setting_is("gridd", "trusted_store")) {
		say("Failed to update local trusted store - Maximum buffer size exceeded");
		say("Failed to register client (2)");
		say("Failed to acquire license from %s", host);
		return;
	}
	if (reason) {
		say("Failed to acquire license from %s (Info: %s - Error: %s)", host,
		    daemon->product, reason);
		return;
	}
	daemon->expiry = time(NULL) + setting_number("expiry_seconds", 86400);
	gmtime_r(&daemon->expiry, &when);
	how = daemon->licensed ? "renewed" : "acquired";
	daemon->licensed = true;
	/* Whoever has read of the license asks nvidia-smi at once. */
	write_state(daemon);
	say("License %s successfully. (Info: %s, %s; Expiry: %d-%d-%d %d:%d:%d GMT)", how,
	    host, daemon->product, when.tm_year + 1900, when.tm_mon + 1, when.tm_mday,
	    when.tm_hour, when.tm_min, when.tm_sec);
}

static void wait_for_end(struct daemon *daemon, bool wants_license)
{
	long delay = setting_number("license_delay", 2);
	sigset_t signals;

	if (setting_is("gridd", "slow"))
		delay += 30;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	for (;;) {
		struct timespec limit = { .tv_sec = delay };

		if (sigtimedwait(&signals, NULL, &limit) > 0)
			return;
		if (wants_license &&
		    !(daemon->licensed && setting_is("gridd", "no_renew")))
			acquire(daemon);
		delay = daemon->licensed
				? (setting_number("expiry_seconds", 86400) + 1) / 2
				: setting_number("retry", 10);
	}
}

static void remove_files(void)
{
	char path[PATH_MAX];

	unlink(path_at(path, STATE_FILE));
	unlink(path_at(path, PID_FILE));
}

static int quit(const struct daemon *daemon, int status)
{
	if (daemon->licensed)
		say("License returned successfully. (Info: %s)", daemon->token.host);
	say("Shutdown (%d)", getpid());
	remove_files();
	return status;
}

/* True where there is something to license; what the daemon says to that is logged. */
static bool choose_product(struct daemon *daemon)
{
	struct gpu gpus[MAX_GPUS];
	int count = module_loaded() ? gpu_scan(gpus) : 0;
	long feature = daemon->feature;

	if (count == 0) {
		say("Licensing not supported for GPUs in the system");
		say("Failed to handle license change events");
		say("Failed to unlock PID file: Bad file descriptor");
		return false;
	}
	for (int i = 0; i < count && !daemon->product; i++)
		if (gpus[i].vgpu ? feature != 0 : feature == 2 || feature == 4)
			daemon->product = product_name(&gpus[i], feature);
	if (feature > 4 || feature == 3) {
		say("Invalid feature type requested");
		daemon->product = NULL;
	}
	return true;
}

static int serve(void)
{
	struct daemon daemon = { .feature = -1 };
	char folder[256];
	char why[128];
	int found;

	say("Started (%d)", getpid());
	say("vGPU Software package (0)");
	read_configuration(&daemon, folder, sizeof(folder));
	if (own_branch() < 470)
		say("Ignore service provider licensing");
	say("Ignore service provider and node-locked licensing");
	if (!choose_product(&daemon))
		return quit(&daemon, 1);
	found = token_read(&daemon.token, folder, why, sizeof(why));
	if (setting_is("gridd", "signature"))
		found = TOKEN_BAD_SIGNATURE;
	if (found == TOKEN_BAD_SIGNATURE)
		say("Failed to decode signature from token received");
	if (found == TOKEN_BAD_SIGNATURE || found == TOKEN_MALFORMED) {
		say("Failed to read configurations from client configuration token (Error: %s)",
		    why);
		say("Failed to setup cloud License Manager: 3");
		return quit(&daemon, 1);
	}
	say("NLS initialized");
	write_state(&daemon);
	if (found == TOKEN_MISSING)
		say("Unable to fetch the client configuration token file");
	if (found == TOKEN_MISSING || !daemon.product)
		say(RESTRICTED);
	else
		say("Acquiring license. (Info: %s; %s)", daemon.token.host,
		    daemon.product);
	wait_for_end(&daemon, found == TOKEN_OK && daemon.product);
	return quit(&daemon, 0);
}

static int write_pid(pid_t pid)
{
	char path[PATH_MAX];
	char folder[PATH_MAX];
	FILE *file;

	snprintf(folder, sizeof(folder), "%s", path_at(path, PID_FILE));
	*strrchr(folder, '/') = '\0';
	mkdir(folder, 0755);
	file = fopen(path, "we");
	if (!file)
		return -1;
	fprintf(file, "%d\n", pid);
	return fclose(file);
}

int main(void)
{
	char path[PATH_MAX];
	sigset_t signals;
	int go[2];
	char byte = 0;
	pid_t pid;

	openlog("nvidia-gridd", LOG_PID, LOG_DAEMON);
	umask(022);
	if (access(path_at(path, "/var/lib/nvidia"), W_OK) != 0) {
		say("Failed to open directory /var/lib/nvidia");
		return 1;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	mkdir(path_at(path, STATE_FOLDER), 0755);
	if (pipe(go) < 0)
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid > 0)
		return write_pid(pid) == 0 && write(go[1], &byte, 1) == 1 ? 0 : 1;
	/* The daemon may end at once; its pid file is there before, not after. */
	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		return 1;
	close(go[0]);
	setsid();
	for (int fd = 0; fd < 3; fd++) {
		close(fd);
		open("/dev/null", O_RDWR);
	}
	return serve();
}
