/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"

#define INSTALL_S 1800
#define REFRESH_S 600
#define OUTPUT_MAX (64u << 10)
#define TRIES 3
#define ARGV_MAX (MANAGER_PACKAGES_MAX + 16)

/* Its words after its own name: how packages are installed, its lists made current, and
 * packages removed. */
struct program {
	const char *name;
	const char *const *install, *const *replace, *const *refresh, *const *remove;
};

static const char *const apt_install[] = {
	"-y",      "--no-install-recommends",
	"-o",      "DPkg::Lock::Timeout=0",
	"-o",      "Acquire::Retries=3",
	"-o",      "DPkg::Options::=--force-confold",
	"install", NULL,
};
/* dnf does so by itself for a file that is named. */
static const char *const apt_replace[] = { "--allow-downgrades", "--reinstall", NULL };
static const char *const apt_refresh[] = { "-o", "Acquire::Retries=3", "update", NULL };
static const char *const apt_remove[] = { "-y", "-o", "DPkg::Lock::Timeout=0", "remove",
					  NULL };
static const char *const dnf_install[] = { "-y", "--setopt=exit_on_lock=True",
					   "--setopt=install_weak_deps=False", "install",
					   NULL };
static const char *const dnf_refresh[] = { "-y", "--setopt=exit_on_lock=True",
					   "makecache", "--refresh", NULL };
static const char *const dnf_remove[] = { "-y", "--setopt=exit_on_lock=True", "remove",
					  NULL };
static const char *const yum_refresh[] = { "-y", "--setopt=exit_on_lock=True",
					   "makecache", NULL };
static const char *const microdnf_install[] = { "-y", "--setopt=install_weak_deps=False",
						"install", NULL };
static const char *const plain_refresh[] = { "-y", "makecache", NULL };
static const char *const plain_remove[] = { "-y", "remove", NULL };
static const char *const zypper_install[] = { "--non-interactive", "install",
					      "--no-recommends", NULL };
static const char *const zypper_replace[] = { "--oldpackage", "--allow-unsigned-rpm",
					      NULL };
static const char *const zypper_refresh[] = { "--non-interactive", "refresh", NULL };
static const char *const zypper_remove[] = { "--non-interactive", "remove", NULL };
static const char *const tdnf_install[] = { "-y", "install", NULL };
static const char *const nothing[] = { NULL };

/* In the order in which one is taken where several are there and none is the system's
 * own. */
static const struct program programs[] = {
	[MANAGER_DNF5] = { "dnf5", dnf_install, nothing, dnf_refresh, dnf_remove },
	[MANAGER_DNF] = { "dnf", dnf_install, nothing, dnf_refresh, dnf_remove },
	[MANAGER_YUM] = { "yum", dnf_install, nothing, yum_refresh, dnf_remove },
	[MANAGER_MICRODNF] = { "microdnf", microdnf_install, nothing, plain_refresh,
			       plain_remove },
	[MANAGER_ZYPPER] = { "zypper", zypper_install, zypper_replace, zypper_refresh,
			     zypper_remove },
	[MANAGER_TDNF] = { "tdnf", tdnf_install, nothing, plain_refresh, plain_remove },
	[MANAGER_APT] = { "apt-get", apt_install, apt_replace, apt_refresh, apt_remove },
};

static const char *const dpkg_repair[] = { "/usr/bin/dpkg", "--force-confold",
					   "--configure", "-a", NULL };

/*
 * apt asks nothing and needrestart, which Ubuntu hooks into it, neither. Our own kernel
 * hook (dist/kernel/postinst) sees who called it and leaves the kernel to the caller.
 */
static const char *const env[] = { "DEBIAN_FRONTEND=noninteractive",
				   "NEEDRESTART_SUSPEND=1", "VGPU_GUEST_AGENT=1", NULL };

static bool says(const struct run_result *result, const char *const *words)
{
	for (; *words; words++) {
		if (strstr(result->output, *words))
			return true;
	}
	return false;
}

static bool is_locked(const struct run_result *result)
{
	static const char *const words[] = {
		"Could not get lock",
		"Unable to acquire the dpkg frontend lock",
		"Unable to lock",
		"was locked by another",
		"already locked by",
		"holding the yum lock",
		"can't create transaction lock",
		"is locked by",
		"System management is locked",
		NULL,
	};

	return says(result, words);
}

/* dpkg, apt and rpm lock with fcntl(2). */
enum manager_lock manager_look(const struct root *root, long *ret_pid)
{
	static const char *const locks[] = {
		"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock",
		"/var/lib/apt/lists/lock",     "/var/cache/apt/archives/lock",
		"/var/lib/rpm/.rpm.lock",      "/usr/lib/sysimage/rpm/.rpm.lock",
	};
	enum manager_lock found = MANAGER_LOCK_UNKNOWN;

	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		struct error ignored = ERROR_INIT;
		cleanup_fd int fd = root_open_at(root, locks[i], O_RDONLY, 0, &ignored);

		if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
			continue;
		if (lock.l_type != F_UNLCK) {
			*ret_pid = (long)lock.l_pid;
			return MANAGER_LOCK_HELD;
		}
		found = MANAGER_LOCK_FREE;
	}
	return found;
}

bool manager_was_locked(const struct error *err)
{
	return err->code == ERROR_PREREQUISITES && err->errnum == EWOULDBLOCK;
}

static int refuse_locked(struct error *err)
{
	err->errnum = EWOULDBLOCK;
	return error_hint(err, "another package manager is at work: run again when it "
			       "has ended");
}

/* rpm waits for its lock whatever it is told: so no manager is started that would. */
static int run_manager(const struct manager *manager, const char *const *argv,
		       unsigned timeout_s, struct run_result *ret_result,
		       struct error *err)
{
	struct run run = {
		.argv = argv,
		.env = env,
		.timeout_s = timeout_s,
		.output_limit = OUTPUT_MAX,
		.log_fd = manager->log_fd,
	};
	long pid;

	if (manager_look(manager->root, &pid) == MANAGER_LOCK_HELD) {
		(void)error_set(err, ERROR_PREREQUISITES,
				"%s: process %ld holds the lock",
				programs[manager->kind].name, pid);
		return refuse_locked(err);
	}
	return run_command(manager->runner, manager->root, &run, ret_result, err);
}

/* The manager's first complaint; where that is only a heading, the line after it too. */
static void find_complaint(const struct run_result *result, char *text, size_t size)
{
	static const char *const marks[] = { "E: ", "Error:", "error:" };
	struct span rest = { .at = result->output, .len = result->size }, line;
	struct span found = { .at = "", .len = 0 };

	while (found.len == 0 && span_next_line(&rest, &line)) {
		for (size_t i = 0; i < ARRAY_SIZE(marks) && found.len == 0; i++) {
			if (span_skip(&line, marks[i]))
				found = span_trim(line);
			else
				continue;
			if (found.len == 0 && span_next_line(&rest, &line))
				found = span_trim(line);
		}
	}

	(void)span_copy(found, text, size);
	text_sanitize(text);
}

static int give_up(const struct run_result *result, const char *program,
		   struct error *err)
{
	struct run run = { .timeout_s = INSTALL_S };
	char complaint[300], how[64];

	find_complaint(result, complaint, sizeof(complaint));
	(void)run_describe(result, &run, how, sizeof(how));
	(void)error_set(err, ERROR_PREREQUISITES, "%s: %s", program,
			complaint[0] ? complaint : how);
	return is_locked(result) ? refuse_locked(err) : -1;
}

bool manager_find(const struct root *root, const char *own, enum manager_kind *ret_kind)
{
	bool known = own[0] != '\0', deb = strcmp(own, programs[MANAGER_APT].name) == 0;
	char path[128];

	/* First the system's own; then any that reads packages of the same format. */
	for (int turn = known ? 0 : 1; turn < 2; turn++) {
		for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
			bool fits = turn == 0 ? strcmp(programs[i].name, own) == 0
					      : !known || deb == (i == MANAGER_APT);

			if (fits &&
			    run_find(root, programs[i].name, path, sizeof(path))) {
				*ret_kind = (enum manager_kind)i;
				return true;
			}
		}
	}
	return false;
}

const char *manager_name(enum manager_kind kind)
{
	return programs[kind].name;
}

/* The program by its path and the lists of words behind it. */
static int join(const char *path, const char *const *const *lists, size_t count,
		const char **argv, struct error *err)
{
	size_t used = 0;

	argv[used++] = path;
	for (size_t i = 0; i < count; i++) {
		for (const char *const *word = lists[i]; *word; word++) {
			if (used == ARGV_MAX - 1)
				return error_set(err, ERROR_INTERNAL,
						 "too many packages at once");
			argv[used++] = *word;
		}
	}
	argv[used] = NULL;
	return 0;
}

/* What may make the next try succeed. Its own failure shows in that try. */
static int repair(const struct manager *manager, const char *path,
		  const struct run_result *failed, struct error *err)
{
	static const char *const interrupted[] = { "dpkg was interrupted", NULL };
	cleanup(run_result_done) struct run_result result = { 0 };
	const char *argv[ARGV_MAX];

	if (manager->kind == MANAGER_APT && says(failed, interrupted))
		return run_manager(manager, dpkg_repair, INSTALL_S, &result, err);
	if (join(path, &programs[manager->kind].refresh, 1, argv, err) < 0)
		return -1;
	return run_manager(manager, argv, REFRESH_S, &result, err);
}

int manager_install(const struct manager *manager, const char *const *packages,
		    struct error *err)
{
	const struct program *program = &programs[manager->kind];
	const char *const *lists[] = { program->install,
				       manager->replace ? program->replace : nothing,
				       packages };
	const char *argv[ARGV_MAX];
	char path[64];

	text_path(path, sizeof(path), "/usr/bin/%s", program->name);
	if (join(path, lists, ARRAY_SIZE(lists), argv, err) < 0)
		return -1;

	for (int tries = 1;; tries++) {
		cleanup(run_result_done) struct run_result result = { 0 };

		if (run_manager(manager, argv, INSTALL_S, &result, err) < 0)
			return -1;
		if (result.status == 0 && result.signal == 0 && !result.timed_out)
			return 0;
		if (tries == TRIES || result.timed_out || is_locked(&result))
			return give_up(&result, program->name, err);
		if (repair(manager, path, &result, err) < 0)
			return -1;
	}
}

int manager_remove(const struct manager *manager, const char *package, struct error *err)
{
	const struct program *program = &programs[manager->kind];
	const char *const packages[] = { package, NULL };
	const char *const *lists[] = { program->remove, packages };
	cleanup(run_result_done) struct run_result result = { 0 };
	const char *argv[ARGV_MAX];
	char path[64];

	text_path(path, sizeof(path), "/usr/bin/%s", program->name);
	if (join(path, lists, ARRAY_SIZE(lists), argv, err) < 0 ||
	    run_manager(manager, argv, INSTALL_S, &result, err) < 0)
		return -1;
	if (result.status == 0 && result.signal == 0 && !result.timed_out)
		return 0;
	return give_up(&result, program->name, err);
}
