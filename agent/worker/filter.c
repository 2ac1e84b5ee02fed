/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macro.h"

/* A worker for a third architecture is killed at its next call, until it stands here. */
#ifdef __aarch64__
#	define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#	define ARCHITECTURE AUDIT_ARCH_X86_64
#endif

#define X32_BIT 0x40000000u
#define PROGRAM_MAX 512
#define ANYTHING 0xffffffffu
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* Calls that end the worker at once. */
static const int deadly[] = {
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_execve,
	SYS_execveat,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_bpf,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_kexec_load,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_userfaultfd,
};

/* For bytes, memory, threads and the clock: nothing here reaches another process. */
static const int always[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_lseek,
	SYS_close,
	SYS_fstat,
	SYS_newfstatat, /* fstat() of newer libcs */
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fdatasync,
	SYS_fsync,
	SYS_sync_file_range,
	SYS_fadvise64,
	SYS_munmap,
	SYS_mremap,
	SYS_brk,
	SYS_madvise,
	SYS_futex,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_set_tid_address,
#ifdef SYS_arch_prctl
	SYS_arch_prctl,
#endif
	SYS_gettid,
	SYS_getpid,
	SYS_getppid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_getrandom,
	SYS_sysinfo,
	SYS_uname,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_restart_syscall,
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_gettimeofday,
#ifdef SYS_time
	SYS_time,
#endif
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_exit,
	SYS_exit_group,
};

/* For TLS, the resolver and its name services. No bind: nobody connects to a worker. */
static const int network[] = {
	SYS_openat,      SYS_faccessat,
#ifdef SYS_open
	SYS_open,        SYS_access,     SYS_stat,       SYS_lstat,    SYS_readlink,
	SYS_select,      SYS_pipe,
#endif
	SYS_statx,       SYS_readlinkat, SYS_getdents64, SYS_pselect6, SYS_pipe2,
	SYS_eventfd2,    SYS_connect,    SYS_sendto,     SYS_recvfrom, SYS_sendmsg,
	SYS_recvmsg,     SYS_sendmmsg,   SYS_recvmmsg,   SYS_shutdown, SYS_getsockname,
	SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
};

/*
 * A call that is allowed where (argument & mask) == value; several rules of one call are
 * alternatives and stand together. Else it fails with `errnum`.
 */
struct rule {
	int call;
	int errnum;
	bool online; /* only with a network */
	struct look {
		unsigned argument;
		uint32_t mask, value;
	} looks[3]; /* all must hold; a mask of 0 always does */
};

#define SOCKET_TYPE ((uint32_t) ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
#define SOCKET(family, type, protocol)                                     \
	{                                                                  \
		SYS_socket, EAFNOSUPPORT, true,                            \
		{                                                          \
			{ 0, ANYTHING, family }, { 1, SOCKET_TYPE, type }, \
				{ 2, ANYTHING, protocol },                 \
		}                                                          \
	}
#define FCNTL(command)                            \
	{                                         \
		SYS_fcntl, EPERM, false,          \
		{                                 \
			{ 1, ANYTHING, command }, \
		}                                 \
	}

static const struct rule rules[] = {
	/* Memory is for bytes or for a library's code: never writable, then executable.
	 */
	{ SYS_mmap, EACCES, false, { { 2, PROT_EXEC, 0 } } },
	{ SYS_mmap, EACCES, true, { { 2, PROT_WRITE, 0 }, { 3, MAP_ANONYMOUS, 0 } } },
	{ SYS_mprotect, EACCES, false, { { 2, PROT_EXEC, 0 } } },
	/* Threads, no processes. clone3() hides its flags in memory: ENOSYS, as it is. */
	{ SYS_clone, EPERM, false, { { 0, CLONE_THREAD | NAMESPACES, CLONE_THREAD } } },
	/* Asks for its own limits, sets none. The pointer is checked as two halves. */
	{ SYS_prlimit64, EPERM, false, { { 0, ANYTHING, 0 }, { 2, ANYTHING, 0 } } },
	{ SYS_prctl, EPERM, false, { { 0, ANYTHING, PR_SET_NAME } } },
	FCNTL(F_GETFD),
	FCNTL(F_SETFD),
	FCNTL(F_GETFL),
	FCNTL(F_SETFL),
	FCNTL(F_DUPFD_CLOEXEC),
	{ SYS_ioctl, ENOTTY, true, { { 1, ANYTHING, FIONBIO } } },
	{ SYS_ioctl, ENOTTY, true, { { 1, ANYTHING, FIONREAD } } },
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_UNIX, SOCK_STREAM, 0), /* systemd-resolved, nscd, sssd */
	SOCKET(AF_NETLINK, SOCK_RAW, 0), /* which addresses are ours? */
	{ SYS_socketpair, EAFNOSUPPORT, true, { { 0, ANYTHING, AF_UNIX } } },
};

struct program {
	struct sock_filter lines[PROGRAM_MAX];
	unsigned short count;
	bool full;
};

static void put(struct program *program, struct sock_filter line)
{
	if (program->count == PROGRAM_MAX)
		program->full = true;
	else
		program->lines[program->count++] = line;
}

static void put_load(struct program *program, size_t offset)
{
	put(program,
	    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void put_return(struct program *program, uint32_t action)
{
	put(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Skips the next line, or `otherwise` lines from here, by what was loaded. */
static void put_unless(struct program *program, uint32_t value, unsigned char otherwise)
{
	put(program,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise));
}

static void put_calls(struct program *program, const int *calls, size_t count,
		      uint32_t action)
{
	for (size_t i = 0; i < count; i++) {
		put_unless(program, (uint32_t)calls[i], 1);
		put_return(program, action);
	}
}

/* Allowed when every look finds its value; else the next rule is tried. */
static void put_rule(struct program *program, const struct rule *rule)
{
	unsigned left = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rule->looks); i++)
		left += rule->looks[i].mask ? 3 : 0;
	put_load(program, offsetof(struct seccomp_data, nr));
	put_unless(program, (uint32_t)rule->call, (unsigned char)(left + 1));
	for (size_t i = 0; i < ARRAY_SIZE(rule->looks); i++) {
		const struct look *look = &rule->looks[i];

		if (!look->mask)
			continue;
		/* The low half: both architectures are little-endian. */
		put_load(program,
			 offsetof(struct seccomp_data, args) + look->argument * 8);
		put(program,
		    (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, look->mask));
		left -= 3;
		put_unless(program, look->value, (unsigned char)(left + 1));
	}
	put_return(program, SECCOMP_RET_ALLOW);
}

static void put_rules(struct program *program, bool online)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (online || !rules[i].online)
			put_rule(program, &rules[i]);
	}
	/* A call that has rules, and none of them held. */
	put_load(program, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (rules[i].online && !online)
			continue;
		if (i > 0 && rules[i].call == rules[i - 1].call)
			continue;
		put_unless(program, (uint32_t)rules[i].call, 1);
		put_return(program, SECCOMP_RET_ERRNO | (uint32_t)rules[i].errnum);
	}
}

int filter_enter(bool online, struct error *err)
{
	struct program program = { .count = 0 };
	struct sock_fprog all = { .filter = program.lines };

	/* Another architecture's numbers mean other calls. */
	put_load(&program, offsetof(struct seccomp_data, arch));
	put_unless(&program, ARCHITECTURE, 1);
	put(&program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
	put_return(&program, SECCOMP_RET_KILL_PROCESS);
	put_load(&program, offsetof(struct seccomp_data, nr));
	put(&program,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	put_return(&program, SECCOMP_RET_KILL_PROCESS);

	put_calls(&program, always, ARRAY_SIZE(always), SECCOMP_RET_ALLOW);
	if (online)
		put_calls(&program, network, ARRAY_SIZE(network), SECCOMP_RET_ALLOW);
	put_calls(&program, deadly, ARRAY_SIZE(deadly), SECCOMP_RET_KILL_PROCESS);
	put_rules(&program, online);
	put_return(&program, SECCOMP_RET_ERRNO | ENOSYS);
	if (program.full)
		return error_set(err, ERROR_INTERNAL, "the filter is too long");

	all.len = program.count;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0) < 0)
		return error_set_errno(err, errno, "closing the kernel's calls");
	return 0;
}
