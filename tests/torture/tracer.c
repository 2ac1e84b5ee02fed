/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tracer [--kill group|one] [--fail ERRNO] [--full] [--at N] [--log FILE]
 *        --report FILE -- COMMAND...
 *
 * Numbers what COMMAND and everything it starts do to the file system, and disturbs
 * the call number N. A seccomp filter stops only the calls of the table below, so
 * that a compiler runs at its own pace. Two counts: "changes" (what changes files, and
 * execs) for kills and the full disk, "calls" (these, opens and looks) for --fail.
 *
 * The report is one JSON object: the counts, what stood at N, and which files were
 * renamed into place by the agent or its worker before they were synced. The exit
 * status is COMMAND's, 128 + N for a signal.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#	error "the registers below are those of x86-64"
#endif

#define OPTIONS                                                             \
	(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define TRACEES_MAX 4096
#define DIRTY_MAX 4096
#define NO_PATH (-1)
#define NO_DIR (-2) /* the path is relative to the working folder */

/* How a call is judged. `dir`, `path`, `fd`: which argument, NO_PATH: none has it. */
static const struct call {
	long number;
	const char *name;
	int fd, dir, path;
	enum { CHANGE, WRITE, MAKE, OPEN, LOOK, SYNC, EXEC, RENAME } kind;
} calls[] = {
	{ SYS_write, "write", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_pwrite64, "pwrite", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_writev, "writev", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_pwritev, "pwritev", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_ftruncate, "ftruncate", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_fallocate, "fallocate", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_sendfile, "sendfile", 0, NO_PATH, NO_PATH, WRITE },
	{ SYS_copy_file_range, "copy_file_range", 2, NO_PATH, NO_PATH, WRITE },
	{ SYS_fsync, "fsync", 0, NO_PATH, NO_PATH, SYNC },
	{ SYS_fdatasync, "fdatasync", 0, NO_PATH, NO_PATH, SYNC },
	{ SYS_syncfs, "syncfs", 0, NO_PATH, NO_PATH, SYNC },
	{ SYS_fchmod, "fchmod", 0, NO_PATH, NO_PATH, CHANGE },
	{ SYS_fchown, "fchown", 0, NO_PATH, NO_PATH, CHANGE },
	{ SYS_rename, "rename", NO_PATH, NO_DIR, 0, RENAME },
	{ SYS_renameat, "renameat", NO_PATH, 0, 1, RENAME },
	{ SYS_renameat2, "renameat2", NO_PATH, 0, 1, RENAME },
	{ SYS_unlink, "unlink", NO_PATH, NO_DIR, 0, CHANGE },
	{ SYS_unlinkat, "unlinkat", NO_PATH, 0, 1, CHANGE },
	{ SYS_rmdir, "rmdir", NO_PATH, NO_DIR, 0, CHANGE },
	{ SYS_mkdir, "mkdir", NO_PATH, NO_DIR, 0, MAKE },
	{ SYS_mkdirat, "mkdirat", NO_PATH, 0, 1, MAKE },
	{ SYS_link, "link", NO_PATH, NO_DIR, 1, MAKE },
	{ SYS_linkat, "linkat", NO_PATH, 2, 3, MAKE },
	{ SYS_symlink, "symlink", NO_PATH, NO_DIR, 1, MAKE },
	{ SYS_symlinkat, "symlinkat", NO_PATH, 1, 2, MAKE },
	{ SYS_chmod, "chmod", NO_PATH, NO_DIR, 0, CHANGE },
	{ SYS_fchmodat, "fchmodat", NO_PATH, 0, 1, CHANGE },
	{ SYS_truncate, "truncate", NO_PATH, NO_DIR, 0, CHANGE },
	{ SYS_utimensat, "utimensat", NO_PATH, 0, 1, CHANGE },
	{ SYS_open, "open", NO_PATH, NO_DIR, 0, OPEN },
	{ SYS_creat, "creat", NO_PATH, NO_DIR, 0, OPEN },
	{ SYS_openat, "openat", NO_PATH, 0, 1, OPEN },
	{ SYS_openat2, "openat2", NO_PATH, 0, 1, OPEN },
	{ SYS_newfstatat, "fstatat", NO_PATH, 0, 1, LOOK },
	{ SYS_stat, "stat", NO_PATH, NO_DIR, 0, LOOK },
	{ SYS_lstat, "lstat", NO_PATH, NO_DIR, 0, LOOK },
	{ SYS_statx, "statx", NO_PATH, 0, 1, LOOK },
	{ SYS_access, "access", NO_PATH, NO_DIR, 0, LOOK },
	{ SYS_faccessat2, "faccessat2", NO_PATH, 0, 1, LOOK },
	{ SYS_fstat, "fstat", 0, NO_PATH, NO_PATH, LOOK },
	{ SYS_readlinkat, "readlinkat", NO_PATH, 0, 1, LOOK },
	{ SYS_getdents64, "getdents", 0, NO_PATH, NO_PATH, LOOK },
	{ SYS_execve, "execve", NO_PATH, NO_DIR, 0, EXEC },
};
#define CALLS_COUNT (sizeof(calls) / sizeof(calls[0]))

static struct {
	enum { KILL_NONE, KILL_GROUP, KILL_ONE } kill;
	int fail;
	bool full;
	long at;
	FILE *log;
	const char *report;
} plan;

static struct {
	long changes, calls;
	bool fired;
	char hit[PATH_MAX + 256];
	char unsynced[PATH_MAX + 256];
} seen;

static pid_t tracees[TRACEES_MAX];
static size_t tracee_count;

/* Regular files that were written to and not synced since. */
static struct {
	dev_t dev;
	ino_t ino;
} dirty[DIRTY_MAX];
static size_t dirty_count;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void tracees_add(pid_t pid)
{
	for (size_t i = 0; i < tracee_count; i++) {
		if (tracees[i] == pid)
			return;
	}
	if (tracee_count < TRACEES_MAX)
		tracees[tracee_count++] = pid;
}

static void tracees_remove(pid_t pid)
{
	for (size_t i = 0; i < tracee_count; i++) {
		if (tracees[i] == pid)
			tracees[i] = tracees[--tracee_count];
	}
}

static void install_filter(void)
{
	struct sock_filter filter[CALLS_COUNT + 5];
	struct sock_fprog program = { .filter = filter };
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS_COUNT; i++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number,
			(unsigned char)(CALLS_COUNT - i), 0);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		die("seccomp");
}

static unsigned long long argument(const struct user_regs_struct *regs, int which)
{
	const unsigned long long arguments[] = { regs->rdi, regs->rsi, regs->rdx,
						 regs->r10, regs->r8,  regs->r9 };

	return arguments[which];
}

static void read_string(pid_t pid, unsigned long long at, char *text, size_t size)
{
	size_t used = 0;

	while (used + 1 < size) {
		size_t piece = 256 - at % 256;
		struct iovec local = { text + used, piece < size - 1 - used
							    ? piece
							    : size - 1 - used };
		struct iovec remote = { (void *)at, local.iov_len };
		ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

		if (n <= 0)
			break;
		if (memchr(text + used, '\0', (size_t)n))
			return;
		used += (size_t)n;
		at += (unsigned long long)n;
	}
	text[used] = '\0';
}

/* Where we can look at what the call names. "." and ".." are good enough here. */
static void name_of(pid_t pid, const struct call *call,
		    const struct user_regs_struct *regs, char *path, size_t size)
{
	char text[PATH_MAX] = "";
	int dir;

	path[0] = '\0';
	if (call->fd != NO_PATH) {
		(void)snprintf(path, size, "/proc/%d/fd/%d", pid,
			       (int)argument(regs, call->fd));
		return;
	}
	read_string(pid, argument(regs, call->path), text, sizeof(text));
	dir = call->dir == NO_DIR ? AT_FDCWD : (int)argument(regs, call->dir);
	/* openat2() below a root: an absolute path is relative to it. */
	if (call->number == SYS_openat2)
		(void)snprintf(path, size, "/proc/%d/fd/%d/%s", pid, dir, text);
	else if (text[0] == '/')
		(void)snprintf(path, size, "/proc/%d/root%s", pid, text);
	else if (dir == AT_FDCWD)
		(void)snprintf(path, size, "/proc/%d/cwd/%s", pid, text);
	else
		(void)snprintf(path, size, "/proc/%d/fd/%d/%s", pid, dir, text);
}

/* The name as a person would say it. */
static void say_name(const struct call *call, const char *path, char *text, size_t size)
{
	char folder[PATH_MAX], base[PATH_MAX];
	const char *slash;
	ssize_t n;

	if (call->fd != NO_PATH) {
		n = readlink(path, text, size - 1);
		text[n > 0 ? n : 0] = '\0';
		return;
	}
	/* /proc/PID/fd/N/rest, /proc/PID/root/rest, /proc/PID/cwd/rest */
	slash = strchr(path + 6, '/') + 1;
	if (strncmp(slash, "fd/", 3) == 0)
		slash += 3;
	slash += strcspn(slash, "/");
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	n = readlink(folder, base, sizeof(base) - 1);
	base[n > 0 ? n : 0] = '\0';
	while (slash[0] == '/' && slash[1] == '/')
		slash++;
	(void)snprintf(text, size, "%s%s", strcmp(base, "/") == 0 ? "" : base, slash);
}

static bool is_dull(const char *name)
{
	static const char *const prefixes[] = { "/proc",      "/sys",       "/dev",
						"/etc/ld.so", "/memfd:",    "pipe:",
						"socket:",    "anon_inode:" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return strstr(name, ".so") || strstr(name, "/locale") || strstr(name, "/gconv");
}

static unsigned long long open_flags(pid_t pid, const struct call *call,
				     const struct user_regs_struct *regs)
{
	unsigned long long flags = 0;
	struct iovec local = { &flags, sizeof(flags) };
	struct iovec remote = { (void *)argument(regs, 2), sizeof(flags) };

	if (call->number == SYS_creat)
		return O_CREAT | O_WRONLY | O_TRUNC;
	if (call->number == SYS_open)
		return argument(regs, 1);
	if (call->number == SYS_openat)
		return argument(regs, 2);
	return process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 ? 0 : flags;
}

static void comm_of(pid_t pid, char *text, size_t size)
{
	char path[64];
	FILE *file;

	text[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(text, (int)size, file))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

/* The agent or one of its workers. */
static bool is_ours(pid_t pid)
{
	char comm[32];

	comm_of(pid, comm, sizeof(comm));
	return strcmp(comm, "vgpu-guest-agen") == 0 ||
	       strcmp(comm, "fetch-worker") == 0 || strcmp(comm, "net-worker") == 0;
}

static void dirty_set(const struct stat *st, bool is)
{
	for (size_t i = 0; i < dirty_count; i++) {
		if (dirty[i].dev != st->st_dev || dirty[i].ino != st->st_ino)
			continue;
		if (!is)
			dirty[i] = dirty[--dirty_count];
		return;
	}
	if (is && dirty_count < DIRTY_MAX) {
		dirty[dirty_count].dev = st->st_dev;
		dirty[dirty_count++].ino = st->st_ino;
	}
}

static bool is_dirty(const struct stat *st)
{
	for (size_t i = 0; i < dirty_count; i++) {
		if (dirty[i].dev == st->st_dev && dirty[i].ino == st->st_ino)
			return true;
	}
	return false;
}

/* Of the agent and its worker alone: nobody else promises to sync. */
static void follow_syncs(pid_t pid, const struct call *call, const char *path,
			 const char *name)
{
	struct stat st;

	if (!is_ours(pid))
		return;
	if (call->number == SYS_syncfs) {
		dirty_count = 0;
		return;
	}
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (call->kind == WRITE || call->kind == SYNC)
		dirty_set(&st, call->kind == WRITE);
	else if (call->kind == RENAME && is_dirty(&st) && strncmp(name, "/run/", 5) != 0)
		(void)snprintf(seen.unsynced, sizeof(seen.unsynced), "%s", name);
}

static const struct call *find(long number)
{
	for (size_t i = 0; i < CALLS_COUNT; i++) {
		if (calls[i].number == number)
			return &calls[i];
	}
	return NULL;
}

/* Whether a disk that has no room left would refuse it. */
static bool needs_room(pid_t pid, const struct call *call,
		       const struct user_regs_struct *regs, const char *path,
		       const char *name)
{
	if (strncmp(name, "/run/", 5) == 0)
		return false;
	if (call->kind == WRITE || call->kind == MAKE)
		return true;
	return call->kind == OPEN && open_flags(pid, call, regs) & O_CREAT &&
	       access(path, F_OK) < 0;
}

static void refuse(pid_t pid, struct user_regs_struct *regs, int errnum)
{
	regs->orig_rax = (unsigned long long)-1;
	regs->rax = (unsigned long long)-(long long)errnum;
	if (ptrace(PTRACE_SETREGS, pid, 0, regs) < 0 && errno != ESRCH)
		die("setting registers");
}

static pid_t group_of(pid_t pid)
{
	char path[64], line[128];
	pid_t group = pid;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Tgid: %d", &group) == 1)
			break;
	}
	if (file)
		fclose(file);
	return group;
}

static void disturb(pid_t pid, struct user_regs_struct *regs)
{
	seen.fired = true;
	if (plan.fail) {
		refuse(pid, regs, plan.fail);
	} else if (plan.kill == KILL_ONE) {
		(void)kill(group_of(pid), SIGKILL);
	} else if (plan.kill == KILL_GROUP) {
		for (size_t i = 0; i < tracee_count; i++)
			(void)kill(tracees[i], SIGKILL);
	}
}

static void at_call(pid_t pid)
{
	char path[PATH_MAX + 64], name[PATH_MAX + 64], comm[32];
	struct user_regs_struct regs;
	const struct call *call;
	bool change;
	long number;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		return;
	call = find((long)regs.orig_rax);
	if (!call)
		return;
	name_of(pid, call, &regs, path, sizeof(path));
	say_name(call, path, name, sizeof(name));
	if (name[0] != '/' || (is_dull(name) && call->kind != EXEC))
		return;
	change = call->kind != OPEN && call->kind != LOOK;
	if (call->kind == OPEN)
		change = open_flags(pid, call, &regs) & (O_CREAT | O_TRUNC);
	/* What a shell looks at on its way to a program is nobody's business. */
	if (!change && !is_ours(pid))
		return;

	seen.calls++;
	seen.changes += change;
	number = plan.fail && !plan.full ? seen.calls : change ? seen.changes : 0;
	if (plan.log)
		fprintf(plan.log, "%ld %ld %s %s %d\n", seen.calls,
			change ? seen.changes : 0, call->name, name, pid);
	if (plan.full && seen.changes >= plan.at &&
	    needs_room(pid, call, &regs, path, name)) {
		seen.fired = true;
		refuse(pid, &regs, ENOSPC);
		return;
	}
	if (number > 0 && number == plan.at && !seen.fired && !plan.full) {
		comm_of(pid, comm, sizeof(comm));
		(void)snprintf(seen.hit, sizeof(seen.hit), "%s %s by %s", call->name,
			       name, comm);
		disturb(pid, &regs);
		return;
	}
	follow_syncs(pid, call, path, name);
}

static void write_report(void)
{
	FILE *file = fopen(plan.report, "we");

	if (!file)
		die(plan.report);
	for (char *at = seen.hit; *at; at++)
		*at = *at == '"' || *at == '\\' || (unsigned char)*at < ' ' ? '?' : *at;
	fprintf(file,
		"{\"changes\":%ld,\"calls\":%ld,\"fired\":%s,\"hit\":\"%s\","
		"\"unsynced\":\"%s\"}\n",
		seen.changes, seen.calls, seen.fired ? "true" : "false", seen.hit,
		seen.unsynced);
	if (fclose(file) != 0)
		die(plan.report);
}

/* To the end of all of them; returns the status of the first. */
static int follow(pid_t first)
{
	int result = 125, status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		int signal = 0;

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return result;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			tracees_remove(pid);
			if (pid == first)
				result = WIFEXITED(status) ? WEXITSTATUS(status)
							   : 128 + WTERMSIG(status);
			continue;
		}
		if (!WIFSTOPPED(status))
			continue;
		tracees_add(pid);
		if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8)))
			at_call(pid);
		else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP)
			signal = WSTOPSIG(status);
		/* Whoever was killed meanwhile says so at the next wait. */
		(void)ptrace(PTRACE_CONT, pid, 0, signal);
	}
}

static pid_t start(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, 0, 0);
		(void)raise(SIGSTOP);
		install_filter();
		(void)execv(argv[0], argv);
		die(argv[0]);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		die("starting");
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, OPTIONS) < 0)
		die("ptrace");
	tracees_add(pid);
	(void)ptrace(PTRACE_CONT, pid, 0, 0);
	return pid;
}

static int errno_named(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} names[] = { { "EIO", EIO },       { "ENOSPC", ENOSPC }, { "EMFILE", EMFILE },
		      { "ENOMEM", ENOMEM }, { "EACCES", EACCES }, { "EROFS", EROFS } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) == 0)
			return names[i].number;
	}
	errno = EINVAL;
	die(name);
}

int main(int argc, char *argv[])
{
	int i = 1, status;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--full") == 0) {
			plan.full = true;
			continue;
		}
		if (strcmp(argv[i], "--kill") == 0)
			plan.kill = strcmp(value, "one") == 0 ? KILL_ONE : KILL_GROUP;
		else if (strcmp(argv[i], "--fail") == 0)
			plan.fail = errno_named(value);
		else if (strcmp(argv[i], "--at") == 0)
			plan.at = strtol(value, NULL, 10);
		else if (strcmp(argv[i], "--log") == 0)
			plan.log = fopen(value, "we");
		else if (strcmp(argv[i], "--report") == 0)
			plan.report = value;
		else
			die(argv[i]);
		i++;
	}
	if (i + 1 >= argc || !plan.report)
		die("usage: tracer [OPTIONS] --report FILE -- COMMAND");
	status = follow(start(argv + i + 1));
	write_report();
	return status;
}
