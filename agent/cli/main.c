/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Arguments in, exit status out. SIGINT, SIGTERM and SIGHUP become a descriptor that
 * everything that waits also waits for; at the end the process dies of the signal
 * that ended it, as its caller expects.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/log.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/print.h"
#include "commands/execute.h"
#include "core/journal.h"
#include "model/paths.h"

static int catch_signals(int *ret_fd, struct error *err)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_set_errno(err, errno, "blocking signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_set_errno(err, errno, "catching signals");

	/* A reader that went away is noticed by the write, not by death in the middle. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* And a file that may grow no more is an error with its name. */
	(void)signal(SIGXFSZ, SIG_IGN);
	*ret_fd = fd;
	return 0;
}

static void die_of(int number)
{
	sigset_t set;

	(void)signal(number, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, number);
	(void)kill(getpid(), number);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void die_of_signal(int fd)
{
	struct signalfd_siginfo info;

	die_of(read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo
							     : SIGTERM);
}

static struct json *error_json(const struct error *error, const char *step)
{
	return json_build("{s:s, s:i, s:s, s:o, s:o, s:b}", "name",
			  error_code_name(error->code), "status", (int)error->code,
			  "step", step, "message", json_words(error->text), "hint",
			  json_words_or_null(error->hint), "passing", error->passing);
}

/* False where memory was out: then it says that, and no more. */
static bool print_json(const struct json *report)
{
	cleanup_free char *text = report ? json_print(report) : NULL;

	(void)puts(text ? text
			: "{\"schema\":1,\"error\":{\"name\":\"internal\",\"status\""
			  ":1,\"step\":\"report\",\"message\":\"out of memory\","
			  "\"hint\":null,\"passing\":true}}");
	return text != NULL;
}

static void print_error(const struct error *error, const char *step)
{
	/* The boot of a guest without GPU has nothing to alarm its console with. */
	enum log_level level = error->code == ERROR_NO_GPU && journal_is_stderr()
				       ? LOG_LEVEL_INFO
				       : LOG_LEVEL_ERROR;

	log_line(level, "vgpu-guest-agent: %s: %s", step, error->text);
	if (error->hint[0])
		log_line(level, "hint: %s", error->hint);
}

/*
 * Standard output is buffered: whether it took everything is only known here. Who has
 * closed it has read enough, as `head` does: then the program ends as others do, without
 * a word, unless it has failed of something else.
 */
static int end_output(const char *step, bool failed)
{
	struct error err = ERROR_INIT;

	if (fflush(stdout) == 0)
		return 0;
	if (errno == EPIPE && !failed)
		die_of(SIGPIPE);
	if (errno == EPIPE)
		return ERROR_INTERNAL;
	(void)error_set_errno(&err, errno, "writing to standard output");
	print_error(&err, step);
	return ERROR_INTERNAL;
}

/* With its error a report says no word of success, to people neither. */
static int report(const struct command *command, const struct args *args,
		  struct json *json, const struct error *error, const char *step)
{
	cleanup_json struct json *own = json ? NULL : json_build("{s:i}", "schema", 1);
	struct json *whole = json ? json : own;
	bool said = true;
	int status;

	if (error->code && json_set(whole, "error", error_json(error, step)) < 0)
		whole = NULL;
	if (args->request.json)
		said = print_json(whole);
	else if (json && command->print)
		command->print(json, &args->request);
	/* The report first, also where both go into one file. */
	status = end_output(step, error->code != ERROR_NONE);
	if (args->request.watch && error->errnum == EPIPE)
		die_of(SIGPIPE);
	if (error->code)
		print_error(error, step);
	if (!said)
		return ERROR_INTERNAL;
	return error->code ? (int)error->code : status;
}

/* No wrong call without a way out: where none was named, who knows what is right. */
static void complete_hint(const char *command, const char *step, struct error *error)
{
	if (error->hint[0])
		return;
	if (command && error->errnum == EACCES && geteuid() != 0)
		(void)error_hint(error, "sudo vgpu-guest-agent %s", command);
	if (error->code != ERROR_USAGE)
		return;
	if (!command)
		(void)error_hint(error, "\"vgpu-guest-agent --help\" lists the options");
	else if (strcmp(command, step) == 0)
		(void)error_hint(error,
				 "\"vgpu-guest-agent %s --help\" shows how it is called",
				 command);
	else
		(void)error_hint(error, "vgpu-guest-agent.conf(5) says what each key of "
					"the configuration takes");
}

/* What is wrong with a call is its command's to say, where it names one. */
static int usage_error(const struct command *command, const struct args *args,
		       struct error *error)
{
	const char *step = command ? command->name : "usage";

	complete_hint(command ? step : NULL, step, error);
	return report(NULL, args, NULL, error, step);
}

/* The command of a line that cannot be read; NULL: it names none. */
static const struct command *command_meant(int argc, char *argv[])
{
	const struct command *command = NULL;
	struct error ignored = ERROR_INIT;
	struct args words;

	args_command_words(argc, argv, &words);
	(void)!command_find(&words, &command, &ignored);
	return command;
}

/* True when what was asked for needs no command to run. */
static bool answer_at_once(struct args *args, const struct command **command,
			   struct error *err, int *ret_status)
{
	if (args->version) {
		(void)puts(args->request.json
				   ? "{\"schema\":1,\"version\":\"" VGPU_VERSION "\"}"
				   : "vgpu-guest-agent " VGPU_VERSION);
		*ret_status = end_output("version", false);
		return true;
	}
	if (args->request.operand_count > 0 &&
	    strcmp(args->request.operands[0], "help") == 0) {
		args->request.operand_count--;
		memmove(args->request.operands, args->request.operands + 1,
			args->request.operand_count * sizeof(args->request.operands[0]));
		args->help = true;
	}
	if (args->help && args->request.operand_count == 0) {
		command_print_help(stdout, NULL);
		*ret_status = end_output("help", false);
		return true;
	}
	if (command_help_group(stdout, args)) {
		*ret_status = end_output("help", false);
		return true;
	}
	if (command_find(args, command, err) < 0) {
		*ret_status = usage_error(*command, args, err);
		return true;
	}
	if (args->help) {
		command_print_help(stdout, *command);
		*ret_status = end_output("help", false);
	}
	return args->help;
}

/* Whether it worked stands in `err`. */
static void execute(const struct command *command, struct request *request, int cancel_fd,
		    struct json **ret_report, const char **ret_step, struct error *err)
{
	const struct command_call call = {
		.name = command->name,
		.run = command->run,
		.needs_root = command->flags & COMMAND_NEEDS_ROOT,
		.locks = command->flags & COMMAND_LOCKS,
		.by_timer = command->flags & COMMAND_BY_TIMER,
		.reads_again = command->flags & COMMAND_READS_AGAIN,
		.cancel_fd = cancel_fd,
	};

	request->each_look = print_status_look;
	if (command_execute(&call, request, ret_report, ret_step, err) == 0)
		*err = ERROR_INIT;
	if (request->watch)
		print_status_end();
	log_progress_end();
}

int main(int argc, char *argv[])
{
	cleanup_json struct json *json = NULL;
	const struct command *command = NULL;
	struct error err = ERROR_INIT;
	struct args args = { .help = false };
	cleanup_fd int cancel_fd = -1;
	const char *step;
	int status;

	for (int i = 1; i < argc; i++)
		args.request.json |= strcmp(argv[i], "--json") == 0;
	if (args_parse(argc, argv, &args, &err) < 0)
		return usage_error(command_meant(argc, argv), &args, &err);
	log_set_level(args.log_level);
	if (answer_at_once(&args, &command, &err, &status))
		return status;

	step = command->name;
	if (catch_signals(&cancel_fd, &err) == 0)
		execute(command, &args.request, cancel_fd, &json, &step, &err);
	complete_hint(command->name, step, &err);
	status = report(command, &args, json, &err, step);
	if (err.interrupted)
		die_of_signal(cancel_fd);
	return status;
}
