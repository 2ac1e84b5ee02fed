/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/manager_words.h"
#include "base/text.h"

#define INSTALL_S 1800
#define REFRESH_S 600
#define OUTPUT_MAX (64u << 10)
#define TRIES 3
#define ARGV_MAX (MANAGER_PACKAGES_MAX + 16)

/*
 * Its words after its own name: for an installation the options, and then how packages
 * are installed, over a newer one, and over the same one; whole, how they are removed,
 * and how its lists are made current.
 */
struct program {
	const char *name;
	const char *const *options, *const *install, *const *replace, *const *again;
	const char *const *remove, *const *refresh;
};

static const char *const apt_options[] = {
	"-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=0",
	"-o", "Acquire::Retries=3",      "-o", "DPkg::Options::=--force-confold",
	NULL,
};
static const char *const apt_replace[] = { "install", "--allow-downgrades", NULL };
static const char *const apt_again[] = { "install", "--allow-downgrades", "--reinstall",
					 NULL };
static const char *const apt_remove[] = { "-y", "-o", "DPkg::Lock::Timeout=0", "remove",
					  NULL };
static const char *const apt_refresh[] = { "-o", "Acquire::Retries=3", "update", NULL };
static const char *const dnf_options[] = { "-y", "--setopt=exit_on_lock=True",
					   "--setopt=install_weak_deps=False", NULL };
static const char *const dnf_remove[] = { "-y", "--setopt=exit_on_lock=True", "remove",
					  NULL };
static const char *const dnf_refresh[] = { "-y", "--setopt=exit_on_lock=True",
					   "makecache", "--refresh", NULL };
static const char *const yum_refresh[] = { "-y", "--setopt=exit_on_lock=True",
					   "makecache", NULL };
static const char *const microdnf_options[] = { "-y", "--setopt=install_weak_deps=False",
						NULL };
static const char *const zypper_options[] = { "--non-interactive", NULL };
static const char *const zypper_install[] = { "install", "--no-recommends", NULL };
static const char *const zypper_replace[] = { "install", "--no-recommends",
					      "--oldpackage", "--allow-unsigned-rpm",
					      NULL };
static const char *const zypper_again[] = { "install",      "--no-recommends",
					    "--oldpackage", "--allow-unsigned-rpm",
					    "--force",      NULL };
static const char *const zypper_remove[] = { "--non-interactive", "remove", NULL };
static const char *const zypper_refresh[] = { "--non-interactive", "refresh", NULL };
static const char *const tdnf_options[] = { "-y", NULL };
static const char *const plain_install[] = { "install", NULL };
/* To "install" of a version that is there dnf says "Nothing to do", and ends well. */
static const char *const plain_again[] = { "reinstall", NULL };
static const char *const plain_remove[] = { "-y", "remove", NULL };
static const char *const plain_refresh[] = { "-y", "makecache", NULL };

/* In the order in which one is taken where several are there and none is the system's
 * own. */
static const struct program programs[] = {
	/* clang-format off */
	[MANAGER_DNF5] = { "dnf5", dnf_options, plain_install, plain_install, plain_again, dnf_remove, dnf_refresh },
	[MANAGER_DNF] = { "dnf", dnf_options, plain_install, plain_install, plain_again, dnf_remove, dnf_refresh },
	[MANAGER_YUM] = { "yum", dnf_options, plain_install, plain_install, plain_again, dnf_remove, yum_refresh },
	[MANAGER_MICRODNF] = { "microdnf", microdnf_options, plain_install, plain_install, plain_again, plain_remove, plain_refresh },
	[MANAGER_ZYPPER] = { "zypper", zypper_options, zypper_install, zypper_replace, zypper_again, zypper_remove, zypper_refresh },
	[MANAGER_TDNF] = { "tdnf", tdnf_options, plain_install, plain_install, plain_again, plain_remove, plain_refresh },
	[MANAGER_APT] = { "apt-get", apt_options, plain_install, apt_replace, apt_again, apt_remove, apt_refresh },
	/* clang-format on */
};

static const char *const dpkg_repair[] = { "/usr/bin/dpkg", "--force-confold",
					   "--configure", "-a", NULL };

/*
 * apt asks nothing and needrestart, which Ubuntu hooks into it, neither. Our own kernel
 * hook (dist/kernel/postinst) sees who called it and leaves the kernel to the caller.
 */
static const char *const env[] = { "DEBIAN_FRONTEND=noninteractive",
				   "NEEDRESTART_SUSPEND=1", "VGPU_GUEST_AGENT=1", NULL };

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

int manager_need_unlocked(const struct manager *manager, struct error *err)
{
	long pid;

	if (manager_look(manager->root, &pid) != MANAGER_LOCK_HELD)
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES, "%s: process %ld holds the lock",
			programs[manager->kind].name, pid);
	return refuse_locked(err);
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

	if (manager_need_unlocked(manager, err) < 0)
		return -1;
	return run_command(manager->runner, manager->root, &run, ret_result, err);
}

/* A script's own words say more than the manager's about it. */
static int give_up(const struct run_result *result, const char *program,
		   struct error *err)
{
	const struct span output = { .at = result->output, .len = result->size };
	const char *hint = manager_words_hint(result->output);
	struct run run = { .timeout_s = INSTALL_S };
	char complaint[MANAGER_WORDS_MAX], how[64];

	manager_words_script(output, complaint, sizeof(complaint));
	if (!complaint[0])
		manager_words_complaint(output, complaint, sizeof(complaint));
	(void)run_describe(result, &run, how, sizeof(how));
	(void)error_set(err, ERROR_PREREQUISITES, "%s: %s", program,
			complaint[0] ? complaint : how);
	if (manager_words_locked(result->output))
		return refuse_locked(err);
	return hint ? error_hint(err, "%s", hint) : -1;
}

/* apt-get is also the name of one that reads .rpm; its packages are nobody's here. */
static bool is_anothers_apt(const struct root *root, enum manager_kind kind)
{
	char path[128];

	return kind == MANAGER_APT && !run_find(root, "dpkg", path, sizeof(path)) &&
	       run_find(root, "rpm", path, sizeof(path));
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

			if (fits && !is_anothers_apt(root, (enum manager_kind)i) &&
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

static bool is_good(const struct run_result *result)
{
	return result->status == 0 && result->signal == 0 && !result->timed_out;
}

/*
 * dpkg has begun what it has not ended. apt says so by name only after a kill; where it
 * was a package's script that failed, it finds no file for the package that it was given.
 */
static bool has_begun(const struct manager *manager, const struct run_result *failed)
{
	return manager->kind == MANAGER_APT &&
	       (strstr(failed->output, "dpkg was interrupted") ||
		strstr(failed->output, "Internal Error, No file name for"));
}

/* A script that fails again is what apt would have no word for. */
static int end_what_has_begun(const struct manager *manager,
			      const struct run_result *failed, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	char script[MANAGER_WORDS_MAX];

	if (run_manager(manager, dpkg_repair, INSTALL_S, &result, err) < 0)
		return -1;
	manager_words_script((struct span){ result.output, result.size }, script,
			     sizeof(script));
	if (manager->script)
		memcpy(manager->script, script, sizeof(script));
	return script[0] && strstr(failed->output, "No file name for")
		       ? give_up(&result, "dpkg", err)
		       : 0;
}

int manager_unpack(const struct manager *manager, const char *path, struct error *err)
{
	const char *const argv[] = { dpkg_repair[0], "--force-confold", "--unpack", path,
				     NULL };
	cleanup(run_result_done) struct run_result result = { 0 };

	if (manager->kind != MANAGER_APT)
		return 0;
	if (run_manager(manager, argv, INSTALL_S, &result, err) < 0)
		return -1;
	return is_good(&result) ? 0 : give_up(&result, "dpkg", err);
}

/* What may make the next try succeed. Its own failure shows in that try. */
static int repair(const struct manager *manager, const char *path, const char *package,
		  const struct run_result *failed, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	const char *argv[ARGV_MAX];

	if (package[0] == '/' && strstr(failed->output, "very bad inconsistent state"))
		return manager_unpack(manager, package, err);
	if (has_begun(manager, failed))
		return end_what_has_begun(manager, failed, err);
	if (join(path, &programs[manager->kind].refresh, 1, argv, err) < 0)
		return -1;
	return run_manager(manager, argv, REFRESH_S, &result, err);
}

int manager_install(const struct manager *manager, const char *const *packages,
		    struct error *err)
{
	const struct program *program = &programs[manager->kind];
	const char *const *how = manager->again     ? program->again
				 : manager->replace ? program->replace
						    : program->install;
	const char *const *lists[] = { program->options, how, packages };
	char path[64], script[MANAGER_WORDS_MAX];
	const char *argv[ARGV_MAX];

	text_path(path, sizeof(path), "/usr/bin/%s", program->name);
	if (join(path, lists, ARRAY_SIZE(lists), argv, err) < 0)
		return -1;

	for (int tries = 1;; tries++) {
		cleanup(run_result_done) struct run_result result = { 0 };

		if (run_manager(manager, argv, INSTALL_S, &result, err) < 0)
			return -1;
		manager_words_script((struct span){ result.output, result.size }, script,
				     sizeof(script));
		if (manager->script)
			memcpy(manager->script, script, sizeof(script));
		if (is_good(&result))
			return 0;
		/* A script that failed fails again. */
		if (tries == TRIES || result.timed_out || script[0] ||
		    manager_words_locked(result.output))
			return give_up(&result, program->name, err);
		if (repair(manager, path, packages[0], &result, err) < 0)
			return -1;
	}
}

int manager_remove(const struct manager *manager, const char *package, struct error *err)
{
	const char *const packages[] = { package, NULL };
	const char *const *lists[] = { programs[manager->kind].remove, packages };
	const char *name = programs[manager->kind].name, *argv[ARGV_MAX];
	char path[64];

	text_path(path, sizeof(path), "/usr/bin/%s", name);
	if (join(path, lists, ARRAY_SIZE(lists), argv, err) < 0)
		return -1;

	for (int tries = 1;; tries++) {
		cleanup(run_result_done) struct run_result result = { 0 };

		if (run_manager(manager, argv, INSTALL_S, &result, err) < 0)
			return -1;
		if (is_good(&result))
			return 0;
		if (tries == TRIES || !has_begun(manager, &result))
			return give_up(&result, name, err);
		if (end_what_has_begun(manager, &result, err) < 0)
			return -1;
	}
}
